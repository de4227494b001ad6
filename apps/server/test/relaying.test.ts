/**
 * A server with accounts never relays: each old trick to make a server send mail on is played over the wire, against each role of a
 * listener. Nothing is accepted for another domain, and nothing reaches the store.
 */
import { Buffer } from 'node:buffer'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD, PASSWORD_HASH, USER } from '../../../test/contracts/wire/user.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type MailServer, serveMail } from '../../../test/kit/postern.ts'
import { keptIds, readAll } from '../../../test/peers/store.ts'

/** The client's text behind `RCPT TO:`, by the name of the trick. */
const TRICKS: Readonly<Record<string, readonly string[]>> = {
  'another domain': ['<victim@foreign.example>', '<victim@FOREIGN.EXAMPLE>', '<postmaster@foreign.example>'],
  'percent hack': [
    '<victim%foreign.example@example.com>',
    '<victim%foreign.example%example.com@example.com>',
    '<bob%example.com@foreign.example>',
    '<victim%foreign.example>',
  ],
  'bang path': [
    '<foreign.example!victim>',
    '<foreign.example!victim@example.com>',
    '<example.com!foreign.example!victim@example.com>',
    '<example.com!bob@foreign.example>',
  ],
  'source route': [
    '<@example.com:victim@foreign.example>',
    '<@example.com,@foreign.example:victim@foreign.example>',
    '<@foreign.example:victim%foreign.example@example.com>',
    '<example.com:victim@foreign.example>',
    '<@example.com:@foreign.example:victim@foreign.example>',
  ],
  'quoted at sign': [
    '<"victim@foreign.example"@example.com>',
    '<"victim@foreign.example">',
    '<"victim\\@foreign.example"@example.com>',
    '<victim\\@foreign.example@example.com>',
    '<"bob@example.com"@foreign.example>',
    '<"victim@foreign.example"@foreign.example>',
  ],
  'two at signs': [
    '<victim@foreign.example@example.com>',
    '<bob@example.com@foreign.example>',
    '<victim@@foreign.example>',
    '<@foreign.example>',
  ],
  'address literal': [
    '<victim@[192.0.2.1]>',
    '<bob@[127.0.0.1]>',
    '<bob@[IPv6:::1]>',
    '<bob@[example.com]>',
    '<victim@[tag:foreign.example]>',
    '<bob@127.0.0.1>',
    '<bob@2130706433>',
    '<bob@#16909060>',
  ],
  'dot and hyphen': [
    '<victim@foreign.example.>',
    '<bob@example.com.foreign.example>',
    '<bob@foreign-example.com>',
    '<bob@notexample.com>',
    '<bob@sub.example.com>',
    '<bob@.example.com.foreign.example>',
    '<bob@example.com..>',
    '<bob@com>',
  ],
  'look-alike letters': [
    '<bob@ex\u0430mple.com>',
    '<bob@xn--exmple-4nf.com>',
    '<bob@examp\u04cfe.com>',
    '<bob@example.c\u043em>',
    '<bob@example\u2024com.foreign.example>',
    '<b\u043eb@example.com>',
    '<victim@f\u00f6reign.example>',
    '<victim@xn--freign-wxa.example>',
  ],
  'more than one path': [
    '<bob@example.com><victim@foreign.example>',
    '<bob@example.com,victim@foreign.example>',
    '<bob@example.com> <victim@foreign.example>',
    '<bob@example.com>,<victim@foreign.example>',
    '<<victim@foreign.example>>',
    '<bob@example.com> ORCPT=rfc822;victim@foreign.example',
    '<bob@example.com;victim@foreign.example>',
    '<(example.com)victim@foreign.example>',
    '<bob@example.com(foreign.example)>',
  ],
  'no brackets, blanks': [
    'victim@foreign.example',
    ' <victim@foreign.example>',
    '< victim@foreign.example >',
    '<victim @foreign.example>',
    '<victim@foreign.example example.com>',
    '<victim@foreign.example\t@example.com>',
    '<victim@foreign.example\0@example.com>',
    '<victim@foreign.example%00@example.com>',
    '"victim@foreign.example"',
  ],
  'mail systems of old': [
    '<victim::foreign@example.com>',
    '<victim/foreign.example@example.com>',
    '</G=victim/PRMD=foreign/C=xx/@example.com>',
    '<smtp:victim@foreign.example>',
    '<victim=foreign.example@example.com>',
    '<bob+victim=foreign.example@foreign.example>',
    '<:include:/etc/passwd@example.com>',
    '<|sh@example.com>',
    '<"|sh"@example.com>',
    '</etc/passwd@example.com>',
  ],
}
const ALL = Object.values(TRICKS).flat()

/** Spellings of an address that is ours. */
const OURS = [
  '<bob@example.com>',
  '<BOB@Example.COM>',
  '<@relay.example:bob@example.com>',
  '<"bob"@example.com>',
  '<postmaster>',
]

let server: MailServer
let store: string

beforeAll(async () => {
  const cwd = temporaryDirectory()
  store = join(cwd, 'mail')
  const accounts = {
    domains: ['example.com'],
    accounts: [{ address: 'bob@example.com' }, { address: 'postmaster@example.com' }],
  }
  writeFileSync(join(cwd, 'accounts.json'), JSON.stringify(accounts))
  server = await serveMail({
    store,
    cwd,
    listen: [
      'smtp://127.0.0.1:0',
      'smtp://127.0.0.1:0?addresses=lenient',
      'submissions://127.0.0.1:0',
      'lmtp://127.0.0.1:0?auth=off',
    ],
    flags: [
      '--self-signed',
      `--users=${USER}:${PASSWORD_HASH}`,
      '--max-bad-commands=10000',
      '--max-idle-commands=10000',
    ],
  })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const ROLES = ['smtp', 'smtp, lenient', 'submission, logged in', 'lmtp'] as const
type Role = (typeof ROLES)[number]

/** Connects to the listener of a role, and greets. */
async function clientOf(role: Role): Promise<SocketClient> {
  const port = server.ports[ROLES.indexOf(role)] as number
  const isSubmission = role === 'submission, logged in'
  const client = await SocketClient.greeted(port, isSubmission ? { tls: {} } : {})
  await client.command(`${role === 'lmtp' ? 'LHLO' : 'EHLO'} client.example`, 250)
  if (isSubmission) {
    await client.command(`AUTH PLAIN ${Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')}`, 235)
  }
  return client
}

describe.each(ROLES)('%s', (role) => {
  test('no trick is accepted, one after another', async () => {
    const before = await keptIds(store)
    using client = await clientOf(role)
    await client.command('MAIL FROM:<> SMTPUTF8', 250)
    const accepted: string[] = []
    for (const path of ALL) {
      await client.send(`RCPT TO:${path}\r\n`)
      const { code, raw } = await client.reply()
      if (code < 500) accepted.push(`${path}: ${raw}`)
    }
    expect(accepted).toEqual([])
    await client.send('DATA\r\n')
    expect((await client.reply()).code).toBe(role === 'lmtp' ? 503 : 554)
    expect(await keptIds(store)).toEqual(before)
  })

  test('a message for one of ours is kept for that one alone, whatever tricks come beside it', async () => {
    const before = new Set(await keptIds(store))
    using client = await clientOf(role)
    const paths = [...ALL.slice(0, 40), OURS[0] as string, ...ALL.slice(40)]
    // All in one packet: no refusal may end the transaction or shift the replies.
    const commands = ['MAIL FROM:<> SMTPUTF8', ...paths.map((path) => `RCPT TO:${path}`), 'DATA']
    await client.send(commands.map((line) => `${line}\r\n`).join(''))
    const codes: number[] = []
    for (const _ of commands) codes.push((await client.reply()).code)
    expect(codes.filter((code) => code < 500)).toEqual([250, 250, 354])
    await client.send('Subject: x\r\nTo: victim@foreign.example\r\n\r\nhi\r\n.\r\n')
    await client.expect(250)
    const kept = (await readAll(store)).filter(({ record }) => !before.has(record.id))
    expect(kept.map(({ record }) => record.forwardPaths.map(({ address, accounts }) => [address, accounts]))).toEqual([
      [['bob@example.com', ['bob@example.com']]],
    ])
  })

  test('other spellings of our own addresses are accepted', async () => {
    using client = await clientOf(role)
    await client.command('MAIL FROM:<>', 250)
    for (const path of OURS) await client.command(`RCPT TO:${path}`, 250)
    await client.command('RSET', 250)
  })
})

test('a client that names itself as one of ours, or by XCLIENT, still cannot relay', async () => {
  const before = await keptIds(store)
  using client = await SocketClient.greeted(server.ports[0] as number)
  await client.command('EHLO example.com', 250)
  await client.command('XCLIENT ADDR=127.0.0.1 LOGIN=bob@example.com', 500)
  await client.command('MAIL FROM:<bob@example.com>', 250)
  await client.command('RCPT TO:<victim@foreign.example>', 550)
  expect(await keptIds(store)).toEqual(before)
})
