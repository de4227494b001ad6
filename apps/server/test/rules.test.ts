/** `rules` of the config file, over the wire: what is refused, dropped, kept and forwarded, and what comes back. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test as every } from 'vitest'
import { type MailRecord, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type MailServer, postern, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { partly } from '../../../test/kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const CONFIG = 'postern.config.json'

async function withRules(rules: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<MailServer> {
  const cwd = temporaryDirectory()
  mkdirSync(join(cwd, 'mail'))
  writeFileSync(join(cwd, CONFIG), JSON.stringify({ rules, ...more }))
  return serveMail({ store: join(cwd, 'mail'), cwd })
}

/** Sends a message. Returns the codes of RCPT for each recipient, and that of the message. */
async function send(
  server: MailServer,
  to: readonly string[],
  { from = 'author@far.example', header = '' }: { readonly from?: string; readonly header?: string } = {},
): Promise<readonly number[]> {
  using client = await SocketClient.ready(server.port)
  await client.command(`MAIL FROM:<${from}>`, 250)
  const codes: number[] = []
  for (const address of to) codes.push((await client.command(`RCPT TO:<${address}>`)).code)
  if (codes.some((code) => code === 250)) {
    await client.command('DATA', 354)
    codes.push((await client.command(`${header}Subject: by a rule\r\n\r\nhello\r\n.`)).code)
  }
  await client.quit()
  return codes
}

async function readAll(store: string): Promise<readonly { readonly record: MailRecord; readonly stored: Buffer }[]> {
  const mail = mailStore(fs(store))
  const { records } = await mail.list({ limit: 100 })
  return Promise.all(
    records.map(async (record) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of (await mail.load(record.id)).body) chunks.push(chunk.slice())
      return { record, stored: Buffer.concat(chunks) }
    }),
  )
}

async function recipients(server: MailServer): Promise<readonly string[]> {
  return (await readAll(server.store)).flatMap(({ record }) => record.forwardPaths.map(({ address }) => address))
}

describe('without a relay', () => {
  test('mail is kept, dropped and refused as the rules say, and the log has each of them', async () => {
    const server = await withRules(
      [
        { for: 'drop@near.example', do: 'drop' },
        { for: 'no@near.example', do: { refuse: '554 5.7.9 Gone fishing' } },
        { for: '*.near.example', do: 'refuse' },
      ],
      { domains: ['near.example', '*.near.example'] },
    )
    expect(await send(server, ['drop@near.example', 'ann@near.example', 'no@near.example'])).toEqual([
      250, 250, 554, 250,
    ])
    expect(await send(server, ['drop@near.example'])).toEqual([250, 250])
    expect(await send(server, ['x@sub.near.example'])).toEqual([550])
    expect(await recipients(server)).toEqual(['ann@near.example'])
    expect(server.log.filter(({ message }) => message === 'message dropped by a rule')).toMatchObject([
      { to: ['drop@near.example'], from: 'author@far.example', recipientCount: 1 },
      { to: ['drop@near.example'] },
    ])
    expect(await server.end('SIGTERM')).toBe(0)
    expect(server.stderr).toMatch(/"guard":"rules","reply":"554 5\.7\.9 Gone fishing"/)
    expect(server.stderr).toMatch(/"guard":"rules","reply":"550 5\.7\.1 This address receives no mail"/)
  })

  test('a dropped message that is too large is refused all the same', async () => {
    const server = await withRules([{ for: 'drop@near.example', do: 'drop' }], {
      domains: ['near.example'],
      maxMessageBytes: 100_000,
    })
    const header = `X-Long: ${'x'.repeat(900)}\r\n`.repeat(120)
    expect(await send(server, ['drop@near.example'], { header })).toEqual([250, 552])
    expect(await send(server, ['drop@near.example'])).toEqual([250, 250])
  })

  test('workers follow the rules too', async () => {
    const rules = [{ for: 'no@near.example', do: 'refuse' }]
    const server = await withRules(rules, { domains: ['near.example'], workers: 2 })
    expect(await send(server, ['no@near.example', 'ann@near.example'])).toEqual([550, 250, 250])
  })

  test('an address that no account has is dropped or refused by its rule, and a suspended account stays refused', async () => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'mail'))
    writeFileSync(
      join(cwd, 'accounts.json'),
      JSON.stringify({
        domains: ['near.example'],
        accounts: [{ address: 'ann@near.example' }, { address: 'old@near.example', suspended: true }],
      }),
    )
    const rules = [
      { for: ['noreply@near.example', 'old@near.example'], do: 'drop' },
      { for: 'kept@near.example', do: 'keep' },
      { for: 'x@foreign.example', do: 'drop' },
    ]
    writeFileSync(join(cwd, CONFIG), JSON.stringify({ rules }))
    const server = await serveMail({ store: join(cwd, 'mail'), cwd })
    const to = ['noreply', 'old', 'kept', 'nobody', 'ann'].map((name) => `${name}@near.example`)
    expect(await send(server, [...to, 'x@foreign.example'])).toEqual([250, 550, 550, 550, 250, 550, 250])
    expect(await recipients(server)).toEqual(['ann@near.example'])
  })
})

describe.each(sample(RUNTIME_NAMES, 1, 3))('with a relay, on %s', (runtime) => {
  let far: MailServer
  let near: MailServer
  let hooks: Server
  const posted: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[] = []
  beforeAll(async () => {
    far = await serveMail({
      store: join(temporaryDirectory(), 'far'),
      listen: ['smtp://127.0.0.1:0', 'lmtp://127.0.0.1:0'],
      flags: ['--domains', 'far.example,else.example,near.example'],
    })
    const lmtp = `lmtp://127.0.0.1:${far.ports[1]}`
    const cwd = temporaryDirectory()
    await postern(['domain', 'add', 'near.example'], { cwd })
    await postern(['user', 'add', 'ann@near.example'], { cwd, input: 'tiger\n' })
    await postern(['dkim', 'keygen', 'near.example', '--type', 'ed25519'], { cwd })
    mkdirSync(join(cwd, 'mail'))
    hooks = createServer((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const path = request.url ?? ''
        posted.push({ path, headers: request.headers, body: Buffer.concat(pieces) })
        response.writeHead(Number(path.slice(1)), { location: '/204' }).end('ignored')
      })
    }).listen(0, '127.0.0.1')
    await once(hooks, 'listening')
    const url = `http://127.0.0.1:${(hooks.address() as AddressInfo).port}`
    const hook = (status: number): object => ({
      for: [`hook${status}@near.example`, `also${status}@near.example`],
      do: { webhook: `${url}/${status}`, secret: SECRET },
    })
    // The file of accounts has rules too.
    const file = join(cwd, 'accounts.json')
    const accounts = JSON.parse(readFileSync(file, 'utf8')) as object
    writeFileSync(file, JSON.stringify({ ...accounts, rules: [hook(204)] }))
    await postern(['rule', 'add', 'team@near.example', 'forward=ann@near.example'], { cwd })
    const rules = [
      ...[302, 404, 429, 500].map(hook),
      { for: 'sales@near.example', do: { forward: ['one@else.example', 'two@else.example'] } },
      { for: 'ann@near.example', do: ['keep', { forward: 'ann@else.example' }] },
      { for: 'wrong@near.example', do: { forward: 'x@nowhere.example' } },
      { for: ['box@near.example', 'box2@near.example'], do: { lmtp } },
      { for: 'boxes@near.example', do: [{ forward: ['via@near.example', 'via2@else.example'] }] },
      { for: 'via@near.example', do: { lmtp } },
      { for: 'closed@near.example', do: { lmtp: 'lmtp+unix:/nowhere/lmtp' } },
    ]
    const relay = `smtp://127.0.0.1:${far.port}`
    writeFileSync(join(cwd, CONFIG), JSON.stringify({ rules, relay }))
    const command = RUNTIMES[runtime]
    near = await serveMail({ store: join(cwd, 'mail'), cwd, ...(command !== undefined && { command }) })
  })
  afterAll(async () => {
    hooks?.close()
    await near?.[Symbol.asyncDispose]()
    await far?.[Symbol.asyncDispose]()
  })

  /** Waits for the message for an address. */
  async function received(server: MailServer, address: string): Promise<{ from: string; to: string[]; text: string }> {
    const find = async (): Promise<Awaited<ReturnType<typeof readAll>>[number] | undefined> =>
      (await readAll(server.store)).find(({ record }) => record.forwardPaths.some((path) => path.address === address))
    await expect.poll(find, { timeout: 20_000 }).toBeDefined()
    const found = await find()
    return {
      from: found?.record.reversePath.address ?? '',
      to: found?.record.forwardPaths.map((path) => path.address) ?? [],
      text: Buffer.from(found?.stored ?? []).toString(),
    }
  }

  test('forwarded mail has a sender of the forwarder, and names whom it was for', async () => {
    expect(await send(near, ['sales@near.example'])).toEqual([250, 250])
    const { from, to, text } = await received(far, 'one@else.example')
    expect(to).toEqual(['one@else.example', 'two@else.example'])
    expect(from).toMatch(/^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=far\.example=author@near\.example$/)
    expect(text).toMatch(
      /\r\nDelivered-To: sales@near\.example\r\nReceived: [^]*\r\nSubject: by a rule\r\n\r\nhello\r\n$/,
    )
    expect(await recipients(near)).not.toContain('sales@near.example')
  })

  test('a bounce goes to the author, and a forged or an old address is refused', async () => {
    expect(await send(near, ['sales@near.example'], { from: 'Lost.Author@far.example' })).toEqual([250, 250])
    await expect
      .poll(async () => (await readAll(far.store)).some(({ record }) => /Lost/.test(record.reversePath.address)), {
        timeout: 20_000,
      })
      .toBe(true)
    const written = (await readAll(far.store)).find(({ record }) => /Lost/.test(record.reversePath.address))
    const address = written?.record.reversePath.address ?? ''
    const forged = address.replace('Lost.Author', 'victim')
    expect(await send(near, [forged, 'SRS0=AAAAAA=AA=far.example=x@near.example', address], { from: '' })).toEqual([
      550, 550, 250, 250,
    ])
    const bounce = await received(far, 'Lost.Author@far.example')
    expect([bounce.from, bounce.to]).toEqual(['', ['Lost.Author@far.example']])
  })

  test('mail is kept and forwarded, and an own address that mail is forwarded to has its own rule', async () => {
    expect(await send(near, ['team@near.example'], { from: 'team-mail@far.example' })).toEqual([250, 250])
    const here = await received(near, 'ann@near.example')
    expect(here.from).toBe('team-mail@far.example')
    expect(here.text).toMatch(/^Delivered-To: team@near\.example\r\n/m)
    expect((await received(far, 'ann@else.example')).from).toMatch(/=far\.example=team-mail@near\.example$/)
  })

  /** Sends a message to an address that is forwarded. Returns the names of the fields that signatures add to it. */
  async function signedBy(id: string, header: string): Promise<readonly string[]> {
    const marked = `X-Mark: ${id}\r\nFrom: boss@near.example\r\n`
    expect(await send(near, ['sales@near.example'], { header: header + marked })).toEqual([250, 250])
    const find = async (): Promise<string | undefined> =>
      (await readAll(far.store)).map(({ stored }) => stored.toString()).find((text) => text.includes(id))
    await expect.poll(find, { timeout: 20_000 }).toBeDefined()
    const text = (await find()) ?? ''
    const added = text.slice(0, text.indexOf('Delivered-To:'))
    return [...added.matchAll(/^(ARC-[\w-]+|DKIM-Signature):/gm)].map(([, name = '']) => name)
  }

  test('forwarded mail is sealed by ARC, and a stranger gets no signature of DKIM for an address of ours', async () => {
    expect(await signedBy('plain', '')).toEqual(['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'])
  })

  test('forwarded mail that somebody has sealed before is not sealed', async () => {
    expect(await signedBy('sealed', 'ARC-Seal: i=1; cv=none; d=far.example; b=x\r\n')).toEqual([])
  })

  test('a message that was forwarded here before is refused', async () => {
    const header = 'Delivered-To: Sales@Near.Example\r\n'
    const before = (await recipients(near)).length
    expect(await send(near, ['sales@near.example', 'ann@near.example'], { header })).toEqual([250, 250, 554])
    expect((await recipients(near)).length).toBe(before)
    expect(await send(near, ['sales@near.example'], { header: 'Delivered-To: other@near.example\r\n' })).toEqual([
      250, 250,
    ])
  })

  test('a forward that is refused for good is reported to the author', async () => {
    expect(await send(near, ['wrong@near.example'], { from: 'told@far.example' })).toEqual([250, 250])
    const report = await received(far, 'told@far.example')
    expect(report.from).toBe('')
    expect(report.text).toContain('Final-Recipient: rfc822; x@nowhere.example')
  })

  test('a server of LMTP gets mail with its sender and its recipients as they are, and no seal', async () => {
    const from = 'lmtp-author@far.example'
    expect(await send(near, ['box@near.example', 'box2@near.example'], { from })).toEqual([250, 250, 250])
    const { from: sender, to, text } = await received(far, 'box@near.example')
    expect([sender, to]).toEqual([from, ['box@near.example', 'box2@near.example']])
    expect(text).toMatch(/^Received: [^]* with LMTP/)
    expect(text).toMatch(/\r\nDelivered-To: box@near\.example\r\nDelivered-To: box2@near\.example\r\nReceived: /)
    expect(text).not.toMatch(/^(?:ARC-|DKIM-)/m)
  })

  test('a server of LMTP gets mail that is forwarded to an address with such a rule', async () => {
    const from = 'chain@far.example'
    expect(await send(near, ['boxes@near.example'], { from })).toEqual([250, 250])
    expect(await received(far, 'via@near.example')).toMatchObject({ from, to: ['via@near.example'] })
    expect((await received(far, 'via2@else.example')).from).toMatch(/^SRS0=.*=chain@near\.example$/)
  })

  test('mail waits for a server of LMTP that is away', async () => {
    expect(await send(near, ['closed@near.example'])).toEqual([250, 250])
    await near.says(/"message":"message waits for another attempt".*"destination":"lmtp\+unix:\/nowhere\/lmtp"/)
  })

  test('a webhook gets the message for each recipient, with a signature that another implementation accepts', async () => {
    const from = 'hooked@far.example'
    const to = ['hook204@near.example', 'also204@near.example']
    expect(await send(near, to, { from, header: 'X-Octets: b\u00fccher\r\n' })).toEqual([250, 250, 250])
    const got = (): typeof posted => posted.filter(({ path }) => path === '/204')
    await expect.poll(() => got().length, { timeout: 20_000 }).toBe(2)
    const webhook = new Webhook(SECRET)
    for (const { headers, body } of got()) {
      expect(headers['content-type']).toBe('message/rfc822')
      expect(body.toString()).toMatch(
        /^Delivered-To: hook204@near\.example\r\n[^]*\r\nX-Octets: b\u00fccher\r\n[^]*hello\r\n$/,
      )
      const said = headers as Record<string, string>
      expect(() => webhook.verify(body, said, { jsonParse: false })).not.toThrow()
      expect(() => webhook.verify(`${body}.`, said)).toThrow(/No matching signature/)
    }
    expect(got().map(({ headers }) => JSON.parse(String(headers['postern-envelope'])))).toEqual(
      to.map((address) => ({ from, to: address })),
    )
    expect(new Set(got().map(({ headers }) => headers['webhook-id'])).size).toBe(2)
    await near.says(/"message":"message sent on".*"destination":"webhook:127\.0\.0\.1:\d+:[0-9a-f]{16}"/)
  })

  test('a refusal of a webhook is reported to the author', async () => {
    expect(await send(near, ['hook404@near.example'], { from: 'refused@far.example' })).toEqual([250, 250])
    const report = await received(far, 'refused@far.example')
    expect(report.text).toContain('Final-Recipient: rfc822; hook404@near.example')
  })

  test.each([302, 429, 500])('a webhook that answers %i is tried again later', async (status) => {
    expect(await send(near, [`hook${status}@near.example`, `also${status}@near.example`])).toEqual([250, 250, 250])
    await near.says(
      new RegExp(`"message waits for another attempt".*"to":"also${status}@near.example".*answered ${status}`),
    )
    expect(posted.filter(({ path }) => path === `/${status}`)).toHaveLength(1)
  })

  test('the secret is readable by its owner alone', () => {
    const path = join(near.cwd, 'queue', 'srs-secret')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).toMatch(/^[\w-]{32}\n$/)
  })
})

test('a server without users forwards, and a hook may decide in place of a rule', async () => {
  const cwd = temporaryDirectory()
  const far = await serveMail({ store: join(temporaryDirectory(), 'far'), flags: ['--domains', 'far.example'] })
  mkdirSync(join(cwd, 'mail'))
  writeFileSync(
    join(cwd, 'postern.config.mjs'),
    `export default {
      domains: ['near.example'],
      relay: 'smtp://127.0.0.1:${far.port}',
      rules: [{ for: 'near.example', do: { forward: 'rule@far.example' } }],
      handlers: {
        rcpt(path) {
          if (path.localPart === 'hook') path.handling = { keeps: false, forwardsTo: ['hook@far.example'] }
        },
      },
    }`,
  )
  const near = await serveMail({ store: join(cwd, 'mail'), cwd })
  expect(await send(near, ['hook@near.example', 'any@near.example', 'x@far.example'])).toEqual([250, 250, 550, 250])
  await expect
    .poll(async () => (await recipients(far)).toSorted(), { timeout: 20_000 })
    .toEqual(['hook@far.example', 'rule@far.example'])
  expect(await recipients(near)).toEqual([])
})

test.each<[unknown, Readonly<Record<string, unknown>>, RegExp]>([
  [[{ for: 'a@a.example', do: 'kep' }], {}, /^postern: rules\[0\]\.do in \S+: "kep" is not 'keep', 'drop'/],
  [
    [{ for: 'a@a.example', do: { lmtp: 'lmtp://ann:tiger@host' } }],
    {},
    /^postern: rules\[0\]\.do\.lmtp in \S+: a URL with a user \(not shown\) is not the URL of a server/,
  ],
  [
    [{ for: 'a@a.example', do: { lmtp: 'smtp://host' } }],
    {},
    /^postern: rules\[0\]\.do\.lmtp in \S+: "smtp:\/\/host" is not the URL of a server/,
  ],
  [
    [{ for: 'a@a.example', do: { webhook: 'ftp://host/x', secret: SECRET } }],
    {},
    /^postern: rules\[0\]\.do\.webhook in \S+: "ftp:\/\/host\/x" is not a URL such as https:/,
  ],
  [
    [{ for: 'a@a.example', do: { webhook: 'https://host/x', secret: 'tiger' } }],
    {},
    /^postern: rules\[0\]\.do\.secret in \S+: the value \(not shown\) is not whsec_/,
  ],
  [[{ for: 'a@a.example', do: { forward: 'b@b.example' } }], {}, /^postern: rules in \S+: needs --relay/],
  [
    [{ for: 'b@b.example', do: 'drop' }],
    { domains: 'a.example' },
    /^postern: rules in \S+: b\.example is not among domains/,
  ],
  [
    [{ for: 'a@a.example', do: { forward: 'a@a.example' } }],
    {},
    /^postern: rules\[0\]\.do in \S+: the forward leads back/,
  ],
])('the rules %j are refused in one line', async (rules, more, said) => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, CONFIG), JSON.stringify({ rules, ...more }))
  const { code, stderr } = await postern(['serve', '--store', 'memory:', '--listen', 'smtp://127.0.0.1:0'], { cwd })
  expect([code, stderr.trim().split('\n').length]).toEqual([2, 1])
  expect(stderr).toMatch(said)
})
