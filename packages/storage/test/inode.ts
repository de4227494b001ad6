/** Files and directories of the disk in power-cut-disk.ts, and what of them a power cut may leave. */

import type { Stats } from 'node:fs'

/** A number from 0 to `count` - 1. */
export type Choose = (count: number) => number

export interface File {
  readonly kind: 'file'
  readonly ino: number
  readonly born: number
  bytes: Uint8Array
  /** What it held before it was cut. */
  longer: Uint8Array[]
  /** So many of the bytes are safe. */
  safe: number
  links: number
}
export interface Directory {
  readonly kind: 'directory'
  readonly ino: number
  readonly born: number
  readonly names: Map<string, Inode>
  readonly safeNames: Map<string, Inode>
  /** What happened to names since they were safe: the inode that a name got, or undefined. */
  log: { readonly name: string; readonly inode: Inode | undefined }[]
  /** How many entries have left the log for `safeNames`. */
  logged: number
}
export type Inode = File | Directory

/** How old files and directories look, in milliseconds. Default 10,000: anything but just made. */
export interface Ages {
  readonly fileAgeMs?: number
  readonly directoryAgeMs?: number
}

export function setName(directory: Directory, name: string, inode: Inode | undefined): void {
  if (inode === undefined) directory.names.delete(name)
  else directory.names.set(name, inode)
  directory.log.push({ name, inode })
}

/** The first so many things that happened to names are safe. */
export function makeSafe(directory: Directory, until: number): void {
  while (directory.logged < until && directory.log.length > 0) {
    const { name, inode } = directory.log.shift() as Directory['log'][number]
    directory.logged++
    if (inode === undefined) directory.safeNames.delete(name)
    else directory.safeNames.set(name, inode)
  }
}

export function statsOf(inode: Inode, { fileAgeMs = 10_000, directoryAgeMs = 10_000 }: Ages): Stats {
  const mtime = new Date(Date.now() - (inode.kind === 'file' ? fileAgeMs : directoryAgeMs))
  return {
    ino: inode.ino,
    nlink: inode.kind === 'file' ? inode.links : 2,
    birthtimeMs: inode.born,
    mtime,
    mtimeMs: mtime.getTime(),
    ctimeMs: mtime.getTime(),
    size: inode.kind === 'file' ? inode.bytes.length : 0,
    isFile: () => inode.kind === 'file',
    isDirectory: () => inode.kind === 'directory',
    isSymbolicLink: () => false,
  } as Stats
}

/** Each name in one of the states that it has had since it was safe. */
export function namesAfterCut(directory: Directory, pick: Choose): Map<string, Inode> {
  const names = new Map(directory.safeNames)
  for (const name of new Set(directory.log.map((each) => each.name))) {
    const later = directory.log.filter((each) => each.name === name).map((each) => each.inode)
    const states = [...new Set([directory.safeNames.get(name), ...later])]
    const state = states[pick(states.length)]
    if (state === undefined) names.delete(name)
    else names.set(name, state)
  }
  return names
}

/** What was safe; behind it nothing, everything, zeros, a half, a half and zeros, or what it was before it was cut. */
export function bytesAfterCut({ bytes, longer, safe }: File, pick: Choose): Uint8Array {
  if (safe === bytes.length && longer.length === 0) return bytes
  const zeros = Uint8Array.from(bytes)
  zeros.fill(0, safe)
  const middle = safe + Math.floor((bytes.length - safe) / 2)
  const half = bytes.subarray(0, middle)
  const halfZeros = Uint8Array.from(bytes)
  halfZeros.fill(0, middle)
  const states = [bytes.subarray(0, safe), bytes, zeros, half, halfZeros, ...longer]
  return states[pick(states.length)] as Uint8Array
}
