/** The accounts file, as `postern user`, `alias`, `domain` and `rule` edit it. */
import { existsSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type DirectoryData, type DomainData, parseAddress, parseDomainName } from '@postern/intake/directory'
import { readAccounts, writeAccounts } from '../../config/file/accounts-file.ts'
import { accountsBeside, type Settings } from '../../config/settings.ts'
import { EXIT, errorCode, Failure } from '../../host/failure.ts'
import { complain } from '../../host/output.ts'

export type ListAction = 'add' | 'remove' | 'list'

/** How long another command may hold the file. */
const LOCK_WAIT_MS = 5_000
const LOCK_RETRY_MS = 50

/** Returns the path of the file. @throws Failure if the accounts are not in a file */
export function pathOf({ file, options, spelled }: Settings): string {
  const { accounts } = options
  if (accounts === undefined) return accountsBeside(file)
  if (typeof accounts === 'string') return accounts
  throw new Failure(`${spelled('accounts')}: your own accounts are in use there; this command edits a file of accounts`)
}

/** Reads the file. @throws Failure */
export function readOrEmpty(path: string): DirectoryData {
  return existsSync(path) ? readAccounts(path).data : {}
}

/** Changes the file, while no other command does. @throws Failure */
export async function edit(path: string, change: (data: DirectoryData) => DirectoryData): Promise<void> {
  const lock = `${path}.lock`
  await takeLock(lock)
  try {
    await writeAccounts(path, change(readOrEmpty(path)))
  } finally {
    await rm(lock, { force: true })
  }
}

async function takeLock(lock: string): Promise<void> {
  for (const endMs = Date.now() + LOCK_WAIT_MS; ;) {
    try {
      return await (await open(lock, 'wx')).close()
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw new Failure(`${lock}: cannot be made (${errorCode(error)})`)
      if (Date.now() > endMs) {
        throw new Failure(`${lock}: another command holds the file; remove it if there is none`, EXIT.failed)
      }
      await delay(LOCK_RETRY_MS)
    }
  }
}

/** Adds the domain of an address, if it is not there yet. */
export function withDomainOf(data: DirectoryData, address: string): DirectoryData {
  const name = parseAddress(address)?.domain ?? ''
  const domains = data.domains ?? []
  if (domains.some((other) => parseDomainName(domainName(other)) === name)) return data
  return { ...data, domains: [...domains, name] }
}

/** Says that the domain of an address was added. Called after the file is written, because a refused edit adds nothing. */
export function sayDomainOf(address: string): void {
  complain(`added the domain ${parseAddress(address)?.domain ?? ''}`)
}

/** @param what For messages. @throws Failure if it is no address */
export function checkedAddress(what: string, address: string | undefined): string {
  if (address !== undefined && parseAddress(address) !== undefined) return address
  const shown = address === undefined ? 'nothing' : JSON.stringify(address)
  throw new Failure(`${what}: ${shown} is not an address such as jane@example.com`)
}

/** Returns whether two texts are the same address. */
export function isSameAddress(one: string, other: string): boolean {
  const [a, b] = [one, other].map(parseAddress)
  return (
    a !== undefined &&
    b !== undefined &&
    a.domain === b.domain &&
    a.localPart.toLowerCase() === b.localPart.toLowerCase()
  )
}

export function domainName(given: string | DomainData): string {
  return typeof given === 'string' ? given : given.name
}
