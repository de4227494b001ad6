/**
 * Reads and writes the directory of keys for DKIM: a file `DOMAIN.SELECTOR.pem` for each key.
 *
 * Lines above the key may say when it signs: `Signs-From: 2026-12-05T00:00:00Z` and `Signs-Until: …` (RFC 7468 2 allows text there).
 */
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SigningKey, SigningKeyError, type SigningKeyOptions } from '@postern/relay/signing'
import { errorText, Failure, unreadable } from '../../host/failure.ts'
import { forbidden } from '../../host/permission.ts'
import { parseTime } from '../values/time.ts'

/** A key, and the file that has it. */
export interface KeyFile {
  readonly path: string
  readonly key: SigningKey
}

const SUFFIX = '.pem'
/** Private keys are nobody else's business. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/** Larger than any key. */
const MAX_BYTES = 65_536
/** More than one server signs for. */
const MAX_FILES = 10_000

/** Returns the file's path of a key. */
export function keyPath(
  directory: string,
  { domain, selector }: Pick<SigningKeyOptions, 'domain' | 'selector'>,
): string {
  return join(directory, `${domain}.${selector}${SUFFIX}`)
}

/** Reads all keys of a directory, in the order of their names. @param named The directory, after the option that gave it. @throws Failure */
export function readKeys(directory: string, named: string = directory): readonly KeyFile[] {
  const names = listed(directory, named).filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
  if (names.length > MAX_FILES) throw new Failure(`${named}: it has ${names.length} keys, more than ${MAX_FILES}`)
  return names.toSorted().map((name) => readKey(directory, name))
}

/**
 * Writes the file of a key, and the directory if there is none. A reader sees no part of a key.
 * @param isReplaced False: an existing file is an error
 * @throws Failure
 */
export function writeKey(directory: string, pem: string, options: SigningKeyOptions, isReplaced: boolean): KeyFile {
  const path = keyPath(directory, options)
  const temporary = join(directory, `.${randomBytes(6).toString('hex')}.tmp`)
  const lines = [
    ...(options.signsFrom === undefined ? [] : [`Signs-From: ${written(options.signsFrom)}`]),
    ...(options.signsUntil === undefined ? [] : [`Signs-Until: ${written(options.signsUntil)}`]),
  ]
  const text = [...lines, pem].join('\n')
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE })
    writeFileSync(temporary, text, { flag: 'wx', mode: FILE_MODE })
    try {
      // A link fails if the name is taken.
      if (isReplaced) renameSync(temporary, path)
      else linkSync(temporary, path)
    } finally {
      rmSync(temporary, { force: true })
    }
  } catch (error) {
    throw (
      forbidden(error) ?? new Failure(`${path}: it cannot be written: ${errorText(error)}`, undefined, { cause: error })
    )
  }
  return { path, key: new SigningKey(pem, options) }
}

/** Writes a time in whole seconds. */
function written(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

function listed(directory: string, named: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    throw forbidden(error) ?? unreadable(named, error)
  }
}

function readKey(directory: string, name: string): KeyFile {
  const path = join(directory, name)
  const stem = name.slice(0, -SUFFIX.length)
  const dot = stem.lastIndexOf('.')
  const [domain, selector] = [stem.slice(0, Math.max(0, dot)), stem.slice(dot + 1)]
  const text = readText(path)
  const begin = Math.max(0, text.indexOf('-----BEGIN'))
  try {
    const key = new SigningKey(pemIn(text, begin), { domain, selector, ...timesIn(text.slice(0, begin), path) })
    return { path, key }
  } catch (error) {
    if (!(error instanceof SigningKeyError)) throw error
    throw new Failure(`${path}: ${error.message}; a key is a PEM file DOMAIN.SELECTOR${SUFFIX}`, undefined, {
      cause: error,
    })
  }
}

function readText(path: string): string {
  try {
    // Opening a FIFO would wait for a writer.
    const stats = statSync(path)
    if (!stats.isFile()) throw new Failure(`${path}: it is not a regular file`)
    if (stats.size > MAX_BYTES) throw new Failure(`${path}: it has ${stats.size} bytes, more than ${MAX_BYTES}`)
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof Failure) throw error
    throw forbidden(error) ?? unreadable(path, error)
  }
}

/** Returns the first block. The runtimes differ in what they accept around it. */
function pemIn(text: string, begin: number): string {
  const end = text.indexOf('-----END', begin)
  const lines = text.slice(begin, end === -1 ? undefined : text.indexOf('-----', end + 8) + 5).split('\n')
  return `${lines.map((line) => line.trim()).join('\n')}\n`
}

function timesIn(preamble: string, path: string): Pick<SigningKeyOptions, 'signsFrom' | 'signsUntil'> {
  const times: { signsFrom?: Date; signsUntil?: Date } = {}
  for (const line of preamble.split('\n').map((one) => one.trim())) {
    if (!line.toLowerCase().startsWith('signs-')) continue
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]
    const field = name === 'signs-from' ? 'signsFrom' : name === 'signs-until' ? 'signsUntil' : undefined
    const time = parseTime(value)
    if (field === undefined || time === undefined) {
      throw new Failure(
        `${path}: ${JSON.stringify(line)} is not Signs-From: or Signs-Until: with a time such as 2026-12-05T00:00:00Z`,
      )
    }
    times[field] = time
  }
  return times
}
