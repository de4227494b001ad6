/** `postern dkim`: makes keys for DKIM, and compares them with their records in DNS. */
import { existsSync } from 'node:fs'
import process from 'node:process'
import type { Answer, Resolver } from '@postern/dns'
import { asciiDomain } from '@postern/engine'
import { findFaults, generateKey, keysFor, type KeyType, parseSelector, type SigningKey } from '@postern/relay/signing'
import { type KeyFile, keyPath, readKeys, writeKey } from '../../config/file/dkim-keys.ts'
import { dkimBeside, flagOf, type Settings } from '../../config/settings.ts'
import { parseQuantity } from '../../config/values/quantity.ts'
import { parseTime, timeAt } from '../../config/values/time.ts'
import { EXIT, Failure } from '../../host/failure.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { table } from '../../host/terminal.ts'
import { makeResolver } from '../../serve/resolver.ts'

/** The flags of `postern dkim`. */
export interface DkimFlags {
  readonly selector?: string
  readonly type?: KeyType | 'both'
  readonly out?: string
  readonly signsFrom?: string
  readonly signsUntil?: string
  readonly force?: boolean
  readonly json?: boolean
}

export type DkimAction = 'keygen' | 'check'

/** A fault, or what keeps us from finding one. */
interface Finding {
  readonly code: string
  readonly text: string
  readonly exitCode: number
}

interface NewKey {
  readonly type: KeyType
  readonly selector: string
}

const KEYGEN_FLAGS = ['type', 'out', 'signsFrom', 'signsUntil', 'force'] as const
const TIME_ALLOWED = 'a time such as 2026-12-05 or 2026-12-05T10:00Z, or a time from now such as 2d'
/** For a query with all its servers. */
const QUERY_TIMEOUT_MS = 10_000
/** As many keys are asked for at the same time. */
const MAX_QUERIES = 20

/** Runs `postern dkim`. @throws Failure */
export function dkim(
  settings: Settings,
  action: DkimAction,
  domain: string | undefined,
  flags: DkimFlags,
): Promise<void> {
  return action === 'keygen' ? keygen(settings, domain, flags) : check(settings, domain, flags)
}

async function keygen(settings: Settings, given: string | undefined, flags: DkimFlags): Promise<void> {
  if (given === undefined) throw new Failure('dkim keygen: give the domain that sends the mail')
  const domain = checkedDomain('dkim keygen', given)
  const directory = flags.out ?? settings.options.dkim ?? dkimBeside(settings.file)
  const [signsFrom, signsUntil] = [timeOf('--signs-from', flags.signsFrom), timeOf('--signs-until', flags.signsUntil)]
  if (signsUntil !== undefined && signsUntil.getTime() <= (signsFrom?.getTime() ?? Date.now())) {
    throw new Failure(`--signs-until: ${JSON.stringify(flags.signsUntil)} is not after the time when the key begins`)
  }
  const wanted = newKeys(flags).map(({ type, selector }) => ({ type, domain, selector, signsFrom, signsUntil }))
  for (const one of wanted) {
    const path = keyPath(directory, one)
    if (flags.force !== true && existsSync(path)) {
      throw new Failure(`${path}: it is there already; give another --selector, or --force to replace it`)
    }
  }
  const files: KeyFile[] = []
  for (const { type, ...options } of wanted) {
    files.push(writeKey(directory, await generateKey(type), options, flags.force === true))
  }
  for (const { path } of files) complain(`wrote ${path}`)
  if (flags.json === true) {
    return printJson(files.map(({ path, key }) => ({ ...described(key), file: path, record: key.record })))
  }
  await print(files.map(({ key }) => `${key.zoneRecord}\n`).join(''))
}

/** Names the keys to make. Two records can't have one name, so each of two keys has a selector of its own. */
function newKeys({ type = 'both', selector: given }: DkimFlags): readonly NewKey[] {
  const types = type === 'both' ? (['rsa', 'ed25519'] as const) : [type]
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '')
  return types.map((one) => {
    const name = given !== undefined && type !== 'both' ? given : `${given ?? day}-${one}`
    const selector = parseSelector(name)
    if (selector === undefined) {
      throw new Failure(
        `--selector: ${JSON.stringify(given)} is not letters, digits and hyphens, at most ${type === 'both' ? 55 : 63}`,
      )
    }
    return { type: one, selector }
  })
}

async function check(settings: Settings, given: string | undefined, flags: DkimFlags): Promise<void> {
  const wrong = KEYGEN_FLAGS.find((name) => flags[name] !== undefined)
  if (wrong !== undefined) throw new Failure(`dkim check: it makes no key; leave out ${flagOf(wrong)}`)
  const domain = given === undefined ? undefined : checkedDomain('dkim check', given)
  const all = allKeys(settings)
  const keys = chosenKeys(settings, all, domain, flags.selector)
  const resolver = await makeResolver(settings, { purpose: 'dkim check', timeoutMs: QUERY_TIMEOUT_MS })
  const results: { readonly key: SigningKey; readonly findings: readonly Finding[] }[] = []
  for (let at = 0; at < keys.length; at += MAX_QUERIES) {
    const some = keys.slice(at, at + MAX_QUERIES)
    results.push(...(await Promise.all(some.map(async (key) => ({ key, findings: await findingsOf(key, resolver) })))))
  }
  const nowMs = Date.now()
  for (const { key, findings } of results) {
    for (const { text, exitCode } of findings) {
      complain(`${key.recordName}: ${text}`)
      process.exitCode = Math.max(Number(process.exitCode ?? EXIT.done), exitCode)
    }
  }
  if (flags.json === true) {
    return printJson(
      results.map(({ key, findings }) => ({
        ...described(key),
        bits: key.bits,
        signsNow: isSigning(key, all, nowMs),
        faults: findings.map(({ code, text }) => ({ code, text })),
      })),
    )
  }
  await print(
    table(
      results.map(({ key, findings }) => [
        key.domain,
        key.selector,
        key.type,
        turnOf(key, all, nowMs),
        findings.length === 0 ? 'ok' : findings.map(({ code }) => code).join(', '),
      ]),
    ),
  )
}

function allKeys({ options, spelled, file }: Settings): readonly SigningKey[] {
  const directory = options.dkim ?? dkimBeside(file)
  if (options.dkim === undefined && !existsSync(directory)) return []
  return readKeys(directory, `${spelled('dkim')}: ${directory}`).map(({ key }) => key)
}

function chosenKeys(
  { options, file }: Settings,
  all: readonly SigningKey[],
  domain: string | undefined,
  selector: string | undefined,
): readonly SigningKey[] {
  const keys = all.filter(
    (key) =>
      (domain === undefined || key.domain === domain) &&
      (selector === undefined || key.selector === selector.toLowerCase()),
  )
  if (keys.length > 0) return keys
  const what = [domain, selector === undefined ? undefined : `selector ${selector}`].filter(
    (part) => part !== undefined,
  )
  const of = what.length === 0 ? '' : ` for ${what.join(', ')}`
  const directory = options.dkim ?? dkimBeside(file)
  throw new Failure(`dkim check: there is no key${of} in ${directory}; postern dkim keygen makes one`)
}

async function findingsOf(key: SigningKey, resolver: Resolver): Promise<readonly Finding[]> {
  const answer: Answer<'TXT'> = await resolver.resolve(key.recordName, 'TXT')
  if (answer.status === 'failed') {
    return [{ code: 'no-answer', text: `no DNS server answers: ${answer.reason}`, exitCode: EXIT.failed }]
  }
  const texts = answer.status === 'found' ? answer.records.map(({ text }) => text) : []
  return findFaults(texts, key).map((fault) => ({ ...fault, exitCode: EXIT.misused }))
}

function described({ domain, selector, type, recordName }: SigningKey): Readonly<Record<string, string>> {
  return { domain, selector, type, name: recordName }
}

function turnOf(key: SigningKey, all: readonly SigningKey[], nowMs: number): string {
  if (isSigning(key, all, nowMs)) return 'signs'
  if (key.isActive(nowMs)) return 'replaced by a newer key'
  return (key.signsFrom?.getTime() ?? -Infinity) > nowMs
    ? `signs from ${key.signsFrom?.toISOString() ?? ''}`
    : `signed until ${key.signsUntil?.toISOString() ?? ''}`
}

/** Returns whether a key signs the mail of its own domain at a time. */
function isSigning(key: SigningKey, all: readonly SigningKey[], nowMs: number): boolean {
  return keysFor([key.domain], all, nowMs).includes(key)
}

function checkedDomain(command: string, given: string): string {
  const domain = asciiDomain(given)
  if (domain !== undefined) return domain
  throw new Failure(`${command}: ${JSON.stringify(given)} is not a domain such as example.com`)
}

function timeOf(flag: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const later = /^\d+$/.test(text) ? Number.NaN : parseQuantity(text, 'time')
  const time = parseTime(text) ?? timeAt(Date.now() + later)
  if (time === undefined) throw new Failure(`${flag}: ${JSON.stringify(text)} is not ${TIME_ALLOWED}`)
  return time
}
