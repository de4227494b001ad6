/** A small disk of one test: a tmpfs, which only root can mount. */
import { mkdir } from 'node:fs/promises'
import { Scratch } from '../kit/scratch.ts'
import { mustRun, runTool } from '../kit/tool.ts'

export class SmallDisk {
  /** The mount point. */
  readonly path: string
  readonly #scratch: Scratch

  private constructor(scratch: Scratch) {
    this.#scratch = scratch
    this.path = scratch.join('disk')
  }

  /** @param options Options of mount: `size=4m`, `nr_inodes=50`. */
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
    // Unmounts lazily, because a process may still use it.
    await runTool('umount', ['-l', this.path])
    await this.#scratch[Symbol.asyncDispose]()
  }
}
