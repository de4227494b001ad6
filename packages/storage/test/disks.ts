/** Disks that count, and disks that fail: wrapped around the real one. */
import { type Disk, nodeDisk } from '../src/disk/disk.ts'

/** What a test does before each call; what it throws, the call throws. */
export type Before = (call: keyof Disk, args: readonly unknown[]) => void | Promise<void>

/** The real disk, with something before each call. */
export function watchedDisk(before: Before): Disk {
  const watched: Record<string, unknown> = {}
  for (const [name, call] of Object.entries(nodeDisk)) {
    watched[name] = async (...args: unknown[]): Promise<unknown> => {
      await before(name as keyof Disk, args)
      return (call as (...args: unknown[]) => Promise<unknown>)(...args)
    }
  }
  return watched as unknown as Disk
}

/** How often each call was made. */
export function countingDisk(): { disk: Disk; counts: Map<keyof Disk, number> } {
  const counts = new Map<keyof Disk, number>()
  const disk = watchedDisk((call) => {
    counts.set(call, (counts.get(call) ?? 0) + 1)
  })
  return { disk, counts }
}

/** What the operating system would throw. */
export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: made by a test, ${syscall}`), { code, syscall })
}
