/** Files and directories of the disk in power-cut-disk.ts, and the contents that a power cut may leave in them. */

import type { Stats } from 'node:fs'

/** A number from 0 to `count` - 1. */
export type Choose = (count: number) => number

export interface File {
  readonly kind: 'file'
  readonly ino: number
  readonly born: number
  bytes: Uint8Array
  /** The contents before the file was truncated. */
  longer: Uint8Array[]
  /** How many of the bytes are synced. */
  safe: number
  links: number
}
export interface Directory {
  readonly kind: 'directory'
  readonly ino: number
  readonly born: number
  readonly names: Map<string, Inode>
  readonly safeNames: Map<string, Inode>
  /** The changes of names since the last sync: the inode that a name got, or undefined if it was removed. */
  log: { readonly name: string; readonly inode: Inode | undefined }[]
  /** How many entries have moved from the log to `safeNames`. */
  logged: number
}
export type Inode = File | Directory

/** The age that files and directories seem to have, in milliseconds. Default 10,000, so that nothing looks new. */
export interface Ages {
  readonly fileAgeMs?: number
  readonly directoryAgeMs?: number
}

export function setName(directory: Directory, name: string, inode: Inode | undefined): void {
  if (inode === undefined) directory.names.delete(name)
  else directory.names.set(name, inode)
  directory.log.push({ name, inode })
}

/** Makes the first so many changes of names safe. */
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

/** Chooses for each name one of the states that it has had since the last sync. */
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

/** Returns the synced bytes, then nothing, all new bytes, zeros, half of them, half and zeros, or the contents before truncation. */
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
