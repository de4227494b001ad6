/** A small disk of one test: a tmpfs, which only root can mount. */
import { mkdir } from 'node:fs/promises'
import { Scratch } from '../kit/scratch.ts'
import { mustRun, runTool } from '../kit/tool.ts'

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
