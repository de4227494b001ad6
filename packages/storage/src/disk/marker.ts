/**
 * The marker: a small file in the root of a store that names its layout, `fs 1`, `packed 1` or `maildir 1`, so that no
 * program opens it as another layout. Its name begins with a dot, as no key does.
 *
 * It is written once, when a directory is first opened for writing. As with every blob, it is whole and synced before
 * it gets its name. If two processes try to give that name, `link` lets only one of them succeed.
 */
import * as nodeFs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { systemCode } from './disk.ts'

/** A layout of mail in a directory. */
export interface Layout {
  /** In lower case. */
  readonly name: string
  /** Raised when the layout changes so that older programs would damage it. From 1. */
  readonly version: number
}

/** The layouts that a directory may have. A directory without mail gets the first. */
export type Wanted = readonly [Layout, ...Layout[]]

/** The name of the marker's file. */
export const MARKER = '.postern'
const MAX_MARKER_BYTES = 64

/**
 * Compares the marker with the layouts that the caller can open. Returns the layout that it names; undefined if there is no marker.
 *
 * @throws StorageError `other-layout`
 */
export function checkMarker(root: string, layouts: Wanted): Layout | undefined {
  const found = readMarker(root)
  if (found === undefined) {
    if (layouts[0].name !== 'fs' && hasYears(root)) throw otherLayout(root, 'fs 1', layouts)
    return undefined
  }
  const layout = layouts.find((each) => textOf(each) === found)
  if (layout === undefined) throw otherLayout(root, found, layouts)
  return layout
}

/**
 * Writes the marker of a directory that has none. It is written in the directory for temporary files first.
 *
 * @throws StorageError `other-layout` if another process meanwhile wrote a marker with another layout
 */
export function writeMarker(root: string, temporary: string, layout: Layout): void {
  const path = join(temporary, `marker-${process.pid}-${randomBytes(8).toString('hex')}`)
  try {
    const file = nodeFs.openSync(path, 'wx', 0o600)
    try {
      nodeFs.writeSync(file, `${textOf(layout)}\n`)
      nodeFs.fsyncSync(file)
    } finally {
      nodeFs.closeSync(file)
    }
    try {
      nodeFs.linkSync(path, join(root, MARKER))
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      checkMarker(root, [layout])
    }
  } finally {
    nodeFs.rmSync(path, { force: true })
  }
  syncDirectory(root)
}

/** Waits until the names in a directory are on the disk. */
export function syncDirectory(path: string): void {
  const file = nodeFs.openSync(path, nodeFs.constants.O_RDONLY)
  try {
    nodeFs.fsyncSync(file)
  } finally {
    nodeFs.closeSync(file)
  }
}

function textOf({ name, version }: Layout): string {
  return `${name} ${version}`
}

/** Returns the text of the marker, up to the greatest length that a marker may have; undefined if there is no marker. */
function readMarker(root: string): string | undefined {
  // With these flags, the call does not block if there is a pipe in its place.
  const flags = nodeFs.constants.O_RDONLY | nodeFs.constants.O_NOFOLLOW | nodeFs.constants.O_NONBLOCK
  let file: number
  try {
    file = nodeFs.openSync(join(root, MARKER), flags)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const bytes = new Uint8Array(MAX_MARKER_BYTES)
    const length = nodeFs.readSync(file, bytes, 0, bytes.length, 0)
    return new TextDecoder().decode(bytes.subarray(0, length)).replace(/\n$/, '')
  } finally {
    nodeFs.closeSync(file)
  }
}

/** Returns whether this is a store of blobs from a version without markers: it has folders of years. */
function hasYears(root: string): boolean {
  return nodeFs
    .readdirSync(root, { withFileTypes: true })
    .some((each) => each.isDirectory() && /^\d{4}$/.test(each.name))
}

function otherLayout(root: string, found: string, wanted: Wanted): StorageError {
  const [, name, version] = /^([a-z]{1,20}) ([1-9]\d{0,8})$/.exec(found) ?? []
  if (name === undefined) {
    return new StorageError(
      'other-layout',
      `${join(root, MARKER)} says ${JSON.stringify(found)}, which is not a layout of mail; give another directory`,
    )
  }
  const isNewer = wanted.some((each) => each.name === name && Number(version) > each.version)
  return new StorageError(
    'other-layout',
    `${root} holds mail in the layout ${found}, not ${textOf(wanted[0])}; ` +
      (isNewer ? 'use a version of Postern that knows it' : `${howToOpen(name, wanted)} or name another directory`),
  )
}

function howToOpen(name: string, [{ name: wanted }]: Wanted): string {
  const scheme = schemeOf(name)
  return scheme === schemeOf(wanted) ? 'open it without naming a layout,' : `open it as ${scheme}:`
}

/** Returns the scheme of a store's URL. */
function schemeOf(name: string): string {
  return name === 'packed' ? 'fs' : name
}
