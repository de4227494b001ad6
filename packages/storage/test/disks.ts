/** Wrappers around the real disk, which count calls or make them fail. */
import { type Disk, nodeDisk } from '../src/disk/disk.ts'

/** Runs before each call. If it throws, the call throws the same. */
export type Before = (call: keyof Disk, args: readonly unknown[]) => void | Promise<void>

/** Wraps the real disk, and runs a function before each call. */
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

/** Counts each call. */
export function countingDisk(): { disk: Disk; counts: Map<keyof Disk, number> } {
  const counts = new Map<keyof Disk, number>()
  const disk = watchedDisk((call) => {
    counts.set(call, (counts.get(call) ?? 0) + 1)
  })
  return { disk, counts }
}

/** Makes an error as the operating system throws it. */
export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: made by a test, ${syscall}`), { code, syscall })
}
