/** Other implementations verify what we sign: dkimpy, opendkim and mailauth. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Resolver } from '@postern/dns/names'
import { createVerifier } from '@postern/mail/trust'
import { createDkimSigner } from '@postern/relay/signing'
import { DEBIAN_PYTHON, DKIMPY, NAMESPACES, OPENDKIM } from '../../../../test/kit/abilities.ts'
import { temporaryDirectory } from '../../../../test/kit/directory.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { OwnResolver } from '../../../../test/kit/own-resolver.ts'
import { mustRun, runTool } from '../../../../test/kit/tool.ts'
import { run, type Signed } from './job.ts'
import { makeKeys } from './keys.ts'
import {
  ADDRESS,
  BLANK_BEFORE_COLON,
  jobOf,
  keys,
  MESSAGES,
  NOW_MS,
  signedBytes,
  signedMessages,
  verified,
} from './messages.ts'

test('most awkward messages are signed, and those without a From are not', async () => {
  const results = await run(await jobOf(7))
  const unsigned = MESSAGES.flatMap(([name], at) => {
    const result = results[at] as Signed
    return 'reason' in result ? [`${name}: ${result.reason}`] : []
  })
  expect(unsigned).toEqual([
    'a dot first of all: malformed-header',
    'a dot alone: malformed-header',
    'only dots: malformed-header',
    'a line of dots: malformed-header',
    'wholly empty: no-from',
    'one CRLF: no-from',
    'only CRLFs: no-from',
    'blanks and tabs at line ends: malformed-header',
    'one octet: malformed-header',
  ])
})

testWith([DKIMPY], 'dkimpy verifies each signature, and none of a changed message', async () => {
  const { records } = await keys
  const signed = (await signedMessages()).filter(([name]) => name !== BLANK_BEFORE_COLON)
  const changed = signed.map(([, bytes]) =>
    Buffer.from(bytes.toString('latin1').replace('@sender', '@fender'), 'latin1'),
  )
  const messages = [...signed.map(([, bytes]) => bytes), ...changed].map((bytes) => bytes.toString('base64'))
  const { stdout } = await mustRun(DEBIAN_PYTHON, [join(import.meta.dirname, 'verify.py')], {
    input: JSON.stringify({ records, messages, signatures: 2 }),
  })
  const results = JSON.parse(stdout.toString()) as string[][]
  expect(signed.map(([name], at) => [name, results[at]])).toEqual(signed.map(([name]) => [name, ['pass', 'pass']]))
  for (const result of results.slice(signed.length)) expect(result).toEqual(['fail', 'fail'])
})

testWith([OPENDKIM, NAMESPACES], 'opendkim verifies each signature, and none of a changed message', async () => {
  const { records } = await keys
  await using resolver = await OwnResolver.start(records)
  const verify = async (bytes: Buffer): Promise<number> =>
    (await resolver.run('opendkim-testmsg', ['-C'], { input: bytes })).code
  // It wants a Date, and reads a bare CR as a line end.
  for (const [name, bytes] of await signedMessages()) {
    const text = bytes.toString('latin1')
    if (!text.includes('\r\nDate:') || /\r(?!\n)/.test(text)) continue
    const second = text.indexOf('DKIM-Signature:', 1)
    const below = text.indexOf('\r\nFrom:') + 2
    for (const field of [text.slice(0, second), text.slice(second, below)]) {
      const alone = field + text.slice(below)
      expect([name, await verify(Buffer.from(alone, 'latin1'))]).toEqual([name, 0])
      const changed = alone.replace('\r\nSubject: awk', '\r\nSubject: ark')
      expect([name, await verify(Buffer.from(changed, 'latin1'))]).not.toEqual([name, 0])
    }
  }
})

testWith([OPENDKIM, NAMESPACES], 'opendkim finds that an RSA key fits its record, and no other', async () => {
  const { given, records } = await keys
  const others = (await makeKeys('other.example')).records
  const ofOther = Object.fromEntries(
    Object.entries(others).map(([name, text]) => [name.replace('other', 'sender'), text]),
  )
  const directory = temporaryDirectory()
  const [file, config] = ['key.pem', 'opendkim.conf'].map((name) => join(directory, name)) as [string, string]
  for (const [zone, code] of [
    [records, 0],
    [ofOther, 65],
  ] as const) {
    await using resolver = await OwnResolver.start(zone)
    // Its resolver is libunbound, which does not read resolv.conf.
    writeFileSync(config, `Nameservers ${resolver.host}\n`)
    // It knows no Ed25519.
    const { pem, domain, selector } = given[0] as (typeof given)[number]
    writeFileSync(file, pem, { mode: 0o600 })
    const args = ['-x', config, '-d', domain, '-s', selector, '-k', file]
    const tested = await runTool('opendkim-testkey', args)
    expect([selector, tested.code]).toEqual(['r', code])
  }
})

/** Returns the result of each signature by our own verifier. */
async function byOurselves(bytes: Buffer): Promise<readonly string[]> {
  const { records } = await keys
  const absent = { status: 'nxdomain', ttlSeconds: 0, isAuthentic: false } as const
  const resolver: Resolver = {
    async resolve(name, type) {
      const text = type === 'TXT' ? records[name] : undefined
      if (text === undefined) return absent
      return { ...absent, status: 'found', name, records: [{ text, strings: [text] }] as never }
    },
  }
  const verification = createVerifier({ resolver, hostname: 'mx.example', now: () => NOW_MS }).begin({
    remote: { family: 'unix', address: '', port: 0 },
    hello: '',
    reversePath: '',
  })
  verification.update(bytes)
  return ((await verification.end()).dkim ?? []).map(({ result }) => result)
}

test('our own verifier finds each signature valid, and none of a changed message', async () => {
  for (const [name, bytes] of await signedMessages()) {
    expect([name, ...(await byOurselves(bytes))]).toEqual([name, 'pass', 'pass'])
    const changed = Buffer.from(bytes.toString('latin1').replace('@sender', '@fender'), 'latin1')
    expect([name, ...(await byOurselves(changed))]).toEqual([name, 'fail', 'fail'])
  }
})

test('mailauth verifies each signature', async () => {
  for (const [name, bytes] of await signedMessages()) {
    expect([name, ...(await verified(bytes, await keys))]).toEqual([name, 'pass', 'pass'])
  }
})

const word = fc.stringMatching(/^[a-zä \t]{0,12}$/)
const line = fc.tuple(word, fc.constantFrom('\r\n', '\r\n', '\n', '\r', ' \r\n'), word).map((parts) => parts.join(''))

test('mailauth verifies a message of any lines, and no longer after one of its letters has changed', async () => {
  const signer = createDkimSigner({ keys: (await keys).keys })
  const value = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('\r\n '))
  const field = fc
    .tuple(fc.constantFrom('Subject', 'to', 'CC', 'Received', 'X-Other'), value)
    .map(([name, text]) => `${name}: ${text}`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 6 }),
      fc.array(line, { maxLength: 12 }),
      fc.nat(),
      async (fields, lines, seed) => {
        const message = Buffer.from(`${[ADDRESS, ...fields].join('\r\n')}\r\n\r\n${lines.join('')}`)
        const signature = await signer.sign([message], NOW_MS)
        const bytes = signedBytes({ fields: Buffer.from(signature.fields).toString('latin1') }, message)
        expect(await verified(bytes, await keys)).toEqual(['pass', 'pass'])
        const bodyAt = bytes.indexOf('\r\n\r\n') + 4
        const letters = [...bytes.keys()].filter((at) => at >= bodyAt && bytes[at] === 0x61)
        const at = letters[seed % letters.length]
        if (at === undefined) return
        bytes[at] = 0x62
        expect(await verified(bytes, await keys)).toEqual(['fail', 'fail'])
      },
    ),
    { numRuns: 60 },
  )
})
