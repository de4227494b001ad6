/** ARC: chains of sets that we and others made are valid to others, and a broken chain is sealed as failed. */
import { join } from 'node:path'
import { arc, sealMessage } from 'mailauth/lib/arc/index.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { describe, expect, test } from 'vitest'
import { type ArcVerdict, createArcSealer, type Seal } from '@postern/relay/signing'
import { DEBIAN_PYTHON, DKIMPY } from '../../../../test/kit/abilities.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { pieces } from './job.ts'
import { type KeySet, makeKeys } from './keys.ts'

const NOW_MS = Date.UTC(2026, 11, 1)
const RESULTS = 'spf=pass smtp.mailfrom=author.example; dkim=pass header.d=author.example header.s=s; arc=none'
const MESSAGE = [
  'DKIM-Signature: v=1; a=rsa-sha256; d=author.example; s=s; h=from; bh=; b=',
  'Authentication-Results: mx.example; none',
  'From: Ann <ann@author.example>',
  'To: list@one.example',
  'Subject: to be sent on',
  'Date: Tue, 01 Dec 2026 00:00:00 +0000',
  'Message-ID: <a@author.example>',
  '',
  'Text  of the\tmessage \r\n',
  '',
].join('\r\n')

const keys: Promise<KeySet> = makeKeys('one.example', 'two.example')

async function seal(
  domain: string,
  message: string,
  chain: ArcVerdict['chain'],
  results: string = RESULTS,
): Promise<Seal> {
  const sealer = createArcSealer({ domain, serverName: `mx.${domain}`, keys: (await keys).keys })
  return sealer.seal(pieces(Buffer.from(message), 50), { chain, results }, NOW_MS)
}

/** Returns the message with one more set. */
async function sealed(domain: string, message: string, chain: ArcVerdict['chain']): Promise<string> {
  const result = await seal(domain, message, chain)
  return Buffer.from(result.fields).toString() + message
}

/** Returns the status of each message. */
async function byDkimpy(messages: readonly string[]): Promise<string[]> {
  const encoded = messages.map((message) => Buffer.from(message).toString('base64'))
  const input = JSON.stringify({ records: (await keys).records, messages: encoded })
  const { stdout } = await mustRun(DEBIAN_PYTHON, [join(import.meta.dirname, 'arc.py')], { input })
  return JSON.parse(stdout.toString()) as string[]
}

async function byMailauth(message: string): Promise<string> {
  const { records } = await keys
  const resolver = async (name: string): Promise<string[][]> => {
    const record = records[name]
    if (record === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[record]]
  }
  const verified = await dkimVerify(Buffer.from(message), { resolver })
  const { status } = await arc(verified.arc as Parameters<typeof arc>[0], { resolver })
  return status.result
}

/** A chain of one set, of two, and of three, the last one by a list that changed the message. */
async function chains(): Promise<[string, string, string]> {
  const one = await sealed('one.example', MESSAGE, 'none')
  const two = await sealed('two.example', `Received: by two.example\r\n${one}`, 'pass')
  const three = await sealed('one.example', two.replace('Subject: to', 'Subject: [list] to'), 'pass')
  return [one, two, three]
}

test('a seal is three fields on top, with what the server found out', async () => {
  const result = await seal('one.example', MESSAGE, 'none')
  const text = Buffer.from(result.fields).toString()
  expect(result).toMatchObject({ isSealed: true, instance: 1, chain: 'none' })
  expect(
    text
      .split('\r\n')
      .filter((line) => !line.startsWith('\t'))
      .map((line) => line.replace(/:.*/, '')),
  ).toEqual(['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results', ''])
  expect(text.replaceAll('\r\n\t', ' ')).toContain(`ARC-Authentication-Results: i=1; mx.one.example; ${RESULTS}\r\n`)
  const names = /\th=([^;]+);/.exec(text)?.[1]?.replaceAll(/\s/g, '').split(':') ?? []
  expect(names).toEqual(expect.arrayContaining(['from', 'subject', 'dkim-signature']))
  expect(names).not.toContain('authentication-results')
  for (const line of text.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78)
})

test('mailauth finds each chain valid, and none after a change', async () => {
  for (const chain of await chains()) {
    expect(await byMailauth(chain)).toBe('pass')
    expect(await byMailauth(chain.replace('Text', 'Test'))).toBe('fail')
    expect(await byMailauth(chain.replace('spf=pass', 'spf=fail'))).toBe('fail')
  }
})

testWith([DKIMPY], 'dkimpy finds each chain valid, and none after a change', async () => {
  const valid = await chains()
  const changed = valid.flatMap((chain) => [chain.replace('Text', 'Test'), chain.replace('spf=pass', 'spf=fail')])
  expect(await byDkimpy(valid)).toEqual(['pass', 'pass', 'pass'])
  expect(await byDkimpy(changed)).toEqual(changed.map(() => 'fail'))
})

testWith([DKIMPY], 'a chain that mailauth began goes on with our set, and ends with one of mailauth', async () => {
  const { given } = await keys
  const { pem, domain, selector } = given.find((key) => key.domain === 'two.example') as (typeof given)[number]
  const options = { signingDomain: domain, selector, privateKey: pem, authResults: 'two.example; spf=pass' }
  const byMailauthToo = async (message: string, cv: string): Promise<string> =>
    (await sealMessage(Buffer.from(message), { ...options, cv })).toString() + message
  const first = await byMailauthToo(MESSAGE, 'none')
  const second = await sealed('one.example', first, 'pass')
  const third = await byMailauthToo(second, 'pass')
  expect(third.match(/^ARC-Seal: i=[123];/gm)).toHaveLength(3)
  expect(await byDkimpy([first, second, third])).toEqual(['pass', 'pass', 'pass'])
  for (const chain of [first, second, third]) expect(await byMailauth(chain)).toBe('pass')
})

describe('a chain', () => {
  test.for([
    ['that the verdict says is broken', (two: string) => two, 'fail'],
    ['that the verdict did not see', (two: string) => two, 'none'],
    [
      'without one of its fields',
      (two: string) => two.replace(/^ARC-Message-Signature: i=1;/m, 'X-Other: i=1;'),
      'pass',
    ],
    ['with a field twice', (two: string) => `ARC-Authentication-Results: i=1; x; none\r\n${two}`, 'pass'],
    ['with a field without instance', (two: string) => `ARC-Authentication-Results: x; none\r\n${two}`, 'pass'],
    ['with an instance of 51', (two: string) => `ARC-Authentication-Results: i=51; x; none\r\n${two}`, 'pass'],
  ] as const)('%s is sealed as failed, and the seal covers its own set alone', async ([, change, chain]) => {
    const [, two] = await chains()
    const broken = change(two)
    expect(await seal('one.example', broken, chain)).toMatchObject({ isSealed: true, instance: 3, chain: 'fail' })
    expect(await byMailauth(await sealed('one.example', broken, chain))).toBe('fail')
  })

  test.for([
    ['that has failed before', 'ARC-Seal: i=3; cv=fail; b=\r\n', 'failed-before'],
    ['of 50 sets', 'ARC-Seal: i=50; cv=pass; b=\r\n', 'many-sets'],
    ['in a header that is too long', `X: ${'x'.repeat(262_144)}\r\n`, 'long-header'],
    ['of a message with a line that is no field', 'no field\r\n', 'malformed-header'],
  ])('%s gets no set', async ([, added, reason]) => {
    const [, two] = await chains()
    expect(await seal('one.example', added + two, 'pass')).toMatchObject({
      isSealed: false,
      reason,
      fields: new Uint8Array(),
    })
  })

  test('that nobody looked at gets no set, and a message without one is sealed', async () => {
    const [one] = await chains()
    expect(await seal('two.example', one, 'unknown')).toMatchObject({ isSealed: false, reason: 'unknown-chain' })
    expect(await seal('two.example', MESSAGE, 'unknown')).toMatchObject({ isSealed: true, instance: 1, chain: 'none' })
  })

  test('gets no set without a From, or without a key', async () => {
    expect(await seal('one.example', 'Subject: x\r\n\r\n', 'none')).toMatchObject({
      isSealed: false,
      reason: 'no-from',
    })
    expect(await seal('three.example', MESSAGE, 'none')).toMatchObject({ isSealed: false, reason: 'no-key' })
  })
})

test.for(['spf=pass\r\nX: y', 'spf=pass\n', '', 'spf=\u00e4'])('results such as %j are refused', async (results) => {
  await expect(seal('one.example', MESSAGE, 'none', results)).rejects.toThrow(
    'results: it is not one line of printable ASCII',
  )
})
