/** accounts.json: reads it, and replaces it. */
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { open, realpath, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'
import {
  Directory,
  type DirectoryData,
  DirectoryError,
  RuleError,
  type Rules,
  rulesIn,
} from '@postern/intake/directory'
import { Failure, unreadable } from '../../host/failure.ts'
import { forbidden } from '../../host/permission.ts'
import { isLmtpUrl } from '../urls/lmtp-url.ts'
import { jsonMistake } from './json-mistake.ts'

export interface AccountsFile {
  readonly data: DirectoryData
  readonly directory: Directory
  readonly rules: Rules
}

/** Some 100,000 accounts. */
const MAX_BYTES = 64 * 1024 * 1024
/** Passwords, even as records, are nobody else's business. */
const MODE = 0o600

/** Reads and checks the file. @param named The path, after the option that gave it. @throws Failure */
export function readAccounts(path: string, named: string = path): AccountsFile {
  const text = readText(path, named)
  let data: DirectoryData
  try {
    data = JSON.parse(text) as DirectoryData
  } catch {
    // The error of `JSON.parse` quotes the file, which has secrets.
    const { line, allowed } = jsonMistake(text)
    throw new Failure(`${named}:${line}: it is not JSON; there must be ${allowed}`)
  }
  return checkedAccounts(data, named)
}

/**
 * Checks the data, and replaces the file with it, so that a reader sees the old file or the new one. Adds the secret that new files need.
 * @throws Failure
 */
export async function writeAccounts(path: string, given: DirectoryData): Promise<void> {
  const data = { ...given, secret: given.secret ?? randomBytes(24).toString('base64url') }
  checkedAccounts(data, path)
  // A symbolic link stays, and its file is replaced. A new file is where its path says.
  const target = await realpath(path).catch(() => path)
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const before = ownersOf(path)
    const file = await open(temporary, 'wx', before.mode)
    try {
      if (process.getuid?.() === 0 && before.uid !== undefined && before.gid !== undefined)
        await file.chown(before.uid, before.gid)
      await file.writeFile(`${JSON.stringify(data, undefined, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target)
    await syncDirectory(dirname(target))
  } catch (error) {
    await rm(temporary, { force: true })
    throw forbidden(error) ?? unreadable(path, error)
  }
}

/** Returns the rules of the config together with those of a file of accounts. @throws Failure */
export function joinedRules(ofConfig: Rules, ofFile: Rules, named: string): Rules {
  try {
    return ofConfig.followedBy(ofFile)
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    throw new Failure(`${named}: rules, together with those of the config: ${error.message}`, undefined, {
      cause: error,
    })
  }
}

/** Checks the data of a file. @throws Failure */
export function checkedAccounts(data: DirectoryData, named: string): AccountsFile {
  try {
    const directory = new Directory(data, { takesRules: true })
    return { data, directory, rules: rulesIn(data, directory, { isLmtpUrl }) }
  } catch (error) {
    const place = error instanceof RuleError ? `rules${error.path}: ` : ''
    if (!(error instanceof DirectoryError || error instanceof RuleError)) throw error
    throw new Failure(`${named}: ${place}${error.message}`, undefined, { cause: error })
  }
}

function readText(path: string, named: string): string {
  try {
    // Opening a FIFO would wait for a writer.
    const stats = statSync(path)
    if (!stats.isFile()) throw new Failure(`${named}: it is not a regular file; name a file of accounts`)
    if (stats.size > MAX_BYTES) throw new Failure(`${named}: it has ${stats.size} bytes, more than ${MAX_BYTES}`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Failure) throw error
    throw forbidden(error) ?? unreadable(named, error)
  }
}

/** Returns the rights of the file, so that the service that may read it still may. */
function ownersOf(path: string): { readonly mode: number; readonly uid?: number; readonly gid?: number } {
  try {
    const { mode, uid, gid } = statSync(path)
    return { mode: mode & 0o777, uid, gid }
  } catch {
    return { mode: MODE }
  }
}

/** Some file systems cannot sync a directory. The file is replaced all the same. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r')
    await directory.sync().finally(() => directory.close())
  } catch {
    // It has no effect on readers.
  }
}
