/** A small disk of one test: a tmpfs, which only root can mount. */
import { mkdir } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scratch } from '../peers/store.ts'
import { mustRun, type Need, program, ROOT, runTool } from '../kit/tool.ts'

/** Root alone is not enough: in a container, mounting may be forbidden all the same. */
export const TMPFS: readonly Need[] = [program('mount'), ROOT, { missing: whyNotMountable() }]

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string
  readonly #scratch: Scratch

  private constructor(scratch: Scratch) {
    this.#scratch = scratch
    this.path = scratch.join('disk')
  }

  /** @param options As mount takes them: `size=4m`, `nr_inodes=50`. */
  static async mount(options: string): Promise<SmallDisk> {
    const disk = new SmallDisk(await Scratch.make())
    await mkdir(disk.path)
    await mustRun('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk.path])
    return disk
  }

  async remount(options: string): Promise<void> {
    await mustRun('mount', ['-o', `remount,${options}`, this.path])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever had it open is gone, or has it to himself.
    await runTool('umount', ['-l', this.path])
    await this.#scratch[Symbol.asyncDispose]()
  }
}

function whyNotMountable(): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'postern-test-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'ignore' })
    execFileSync('umount', [directory], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'no tmpfs can be mounted'
  } finally {
    rmdirSync(directory)
  }
}
