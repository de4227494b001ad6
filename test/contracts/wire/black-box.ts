/**
 * The behaviour of Postern that a client sees, on any runtime: checks over TCP, as plain data.
 *
 * They test a server from outside. They send bytes through a socket, and check the replies and the kept messages.
 */
import assert from 'node:assert/strict'
import { createTransport } from 'nodemailer'
import { sleep } from '../../kit/waiting.ts'
import { short } from '../../kit/client/reply.ts'
import { SocketClient } from '../../kit/client/socket-client.ts'
import { messageOf, MiB } from '../../corpus/messages.ts'
import { sendByBdat, sendByData, textOf } from '../../corpus/send.ts'
import { throughTls } from '../../peers/openssl.ts'
import { PASSWORD, USER } from './user.ts'
import { difference, idIn, protocolOf } from '../../peers/store.ts'
import { type Need, OPENSSL, SWAKS, SWAKS_TLS } from '../../kit/abilities.ts'
import { mustRun } from '../../kit/tool.ts'
import type { Ability, Target } from './target.ts'

export interface BlackBoxCheck {
  readonly name: string
  readonly needs: readonly Ability[]
  /** Runs only on targets that lack this. */
  readonly without?: Ability
  /** The programs that this machine needs to test that target. */
  machine?(target: Target): readonly Need[]
  run(target: Target): Promise<void>
}

/** Long enough for another process to read a piece before the next one is sent. */
const CROSSING_MS = 3
/** How many connections a check makes at the same time, if it makes many. */
const AT_ONCE = 20

const MAIL = ['MAIL FROM:<ann@sender.example>', 'RCPT TO:<bob@postern.example>'] as const
const TEXT = 'Subject: cut\r\n\r\n.one\r\n..\r\nlast\r\n'

export const BLACK_BOX: readonly BlackBoxCheck[] = [
  check('a transaction by DATA is kept, wherever it is cut in two', async (target) => {
    const wire = Buffer.concat([Buffer.from(`${MAIL.join('\r\n')}\r\n`), Buffer.from('DATA\r\n')])
    const text = textOf(Buffer.from(TEXT))
    await each(cutsOf(wire), (pieces) => transaction(target, [pieces, [text]], [250, 250, 354, 250]))
    await each(cutsOf(text), (pieces) => transaction(target, [[wire], pieces], [250, 250, 354, 250]))
  }),

  check('a transaction by BDAT is kept, wherever it is cut in two', async (target) => {
    const half = TEXT.length >> 1
    const chunks = `BDAT ${half}\r\n${TEXT.slice(0, half)}BDAT ${TEXT.length - half} LAST\r\n${TEXT.slice(half)}`
    const wire = Buffer.from(`${MAIL.join('\r\n')}\r\n${chunks}`)
    await each(cutsOf(wire), (pieces) => transaction(target, [pieces], [250, 250, 250, 250]))
  }),

  check('a whole dialogue gets its replies if it comes one byte at a time', async (target) => {
    const lines = `${MAIL.join('\r\n')}\r\nDATA\r\n`
    const pieces = (text: string): Buffer[] => Array.from(text, (byte) => Buffer.from(byte))
    const text = textOf(Buffer.from(TEXT)).toString()
    await transaction(target, [pieces(lines), pieces(text)], [250, 250, 354, 250])
  }),

  check('many transactions in one packet get their replies in order, and each is kept once', async (target) => {
    using client = await SocketClient.ready(target.smtp)
    const one = (n: number): string =>
      `${MAIL.join('\r\n')}\r\nBDAT 6 LAST\r\nn=${String(n).padStart(2, '0')}\r\nNOOP\r\n`
    await client.send(Array.from({ length: 50 }, (_, n) => one(n)).join(''))
    for (let n = 0; n < 50; n++) {
      for (let line = 0; line < 2; line++) await client.expect(250)
      const { text } = await client.expect(250)
      await client.expect(250, '2.0.0')
      const kept = await target.kept(idIn(text))
      assert.equal(kept.bytes.toString(), `n=${String(n).padStart(2, '0')}\r\n`)
    }
    await client.quit()
  }),

  check('a client that has finished sending still gets every reply', async (target) => {
    using client = await SocketClient.greeted(target.smtp)
    const wire = `EHLO c.example\r\n${MAIL.join('\r\n')}\r\nBDAT ${TEXT.length} LAST\r\n${TEXT}`
    client.send(wire)
    client.end()
    const replies = await client.repliesToEnd()
    assert.deepEqual(
      replies.map(({ code }) => code),
      [250, 250, 250, 250],
    )
    assert.equal((await target.kept(idIn(replies.at(-1)?.raw ?? ''))).bytes.toString(), TEXT)
  }),

  check('a client that reads no replies has to wait, misses none, and delays no other client', async (target) => {
    using deaf = await SocketClient.connect(target.smtp, { isPaused: true })
    // Chunks may come without end. A server that kept the replies would grow. A correct server makes the client wait.
    const batch = Buffer.from('BDAT 1\r\nx'.repeat(10_000))
    await deaf.send(`EHLO deaf.example\r\n${MAIL.join('\r\n')}\r\n`)
    let batches = 0
    for (let stalled = false; !stalled && batches < 400; batches++) {
      const isWritten = await Promise.race([deaf.send(batch).then(() => true), sleep(1_000).then(() => false)])
      stalled = !isWritten
    }
    assert.ok(batches < 400, 'the server took 36 MB of commands whose replies nobody read')
    using other = await SocketClient.ready(target.smtp)
    await other.quit()
    deaf.resume()
    await deaf.expect(220)
    for (let n = 0; n < 3 + batches * 10_000; n++) await deaf.expect(250)
  }),

  ...(['-tls1_2', '-tls1_3'] as const).flatMap((flag) => [
    {
      machine: () => [OPENSSL],
      ...check(`STARTTLS works with OpenSSL ${flag}`, (target) => byOpenssl(target, flag, false), 'STARTTLS'),
    },
    {
      machine: () => [OPENSSL],
      ...check(`implicit TLS works with OpenSSL ${flag}`, (target) => byOpenssl(target, flag, true), 'implicit TLS'),
    },
  ]),

  check(
    'a command that is pipelined behind STARTTLS in clear never runs',
    async (target) => {
      const before = (await target.ids()).length
      using client = await SocketClient.ready(target.smtp)
      await client.send(`STARTTLS\r\n${MAIL.join('\r\n')}\r\nBDAT 1 LAST\r\nx`)
      // A server may answer before it sees the waiting bytes. Then it may only close.
      const heard = await client.reply().catch(() => undefined)
      assert.ok(heard === undefined || heard.code === 220, heard?.text)
      await client.ended()
      assert.equal((await target.ids()).length, before)
    },
    'STARTTLS',
  ),

  {
    name: 'STARTTLS is neither offered nor accepted if TLS is not possible',
    needs: [],
    without: 'STARTTLS',
    async run(target) {
      using client = await SocketClient.greeted(target.smtp)
      const { lines } = await client.command('EHLO c.example')
      assert.ok(!lines.includes('STARTTLS'))
      assert.match((await client.command('STARTTLS')).raw, /^50[02] /)
    },
  },

  check(
    'AUTH under TLS accepts the right password and refuses a wrong one',
    async (target) => {
      const plain = (password: string): string => Buffer.from(`\0${USER}\0${password}`).toString('base64')
      using client = await SocketClient.greeted(target.smtp)
      assert.ok(!(await client.command('EHLO c.example')).raw.includes('AUTH'), 'AUTH is offered in clear')
      assert.match(short(await client.command(`AUTH PLAIN ${plain(PASSWORD)}`)), /^5\d\d/)
      await client.command('STARTTLS')
      await client.startTls()
      assert.match((await client.command('EHLO c.example')).raw, /^250[ -]AUTH .*PLAIN/m)
      assert.equal(short(await client.command(`AUTH PLAIN ${plain('wrong')}`)), '535 5.7.8')
      assert.equal(short(await client.command(`AUTH PLAIN ${plain(PASSWORD)}`)), '235 2.7.0')
      await client.expectAll(MAIL)
      client.send(`BDAT ${TEXT.length} LAST\r\n${TEXT}`)
      const kept = await target.kept(idIn((await client.reply()).raw))
      assert.equal(protocolOf(kept), 'ESMTPSA')
      assert.equal(kept.record.session.user, USER)
    },
    'STARTTLS',
    'AUTH',
  ),

  check('10 MiB by DATA are kept unchanged', async (target) => {
    const { bytes } = messageOf(10 * MiB)
    using client = await SocketClient.ready(target.smtp)
    const { text } = await sendByData(client, { bytes })
    assert.equal(difference((await target.kept(idIn(text))).bytes, bytes), undefined)
    await client.quit()
  }),

  check('10 MiB by BDAT are kept unchanged', async (target) => {
    const bytes = Buffer.alloc(10 * MiB)
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >> 8)
    using client = await SocketClient.ready(target.smtp)
    const { text } = await sendByBdat(client, { bytes, body: 'BINARYMIME' }, { chunks: 100_000, emptyLast: true })
    assert.equal(difference((await target.kept(idIn(text))).bytes, bytes), undefined)
    await client.quit()
  }),

  check('1,000 sessions at the same time each send a message', async (target) => {
    const clients: SocketClient[] = []
    try {
      await each(
        Array.from({ length: 1_000 }, (_, n) => n),
        async () => {
          const client = await SocketClient.connect(target.smtp)
          clients.push(client)
          // On a slow machine the last connections wait long.
          client.waitMs = 300_000
          await client.expect(220)
          await client.command('EHLO client.example', 250)
        },
      )
      const texts = await Promise.all(
        clients.map(async (client, n) => {
          await client.send(`${MAIL.join('\r\n')}\r\nBDAT 8 LAST\r\n${String(n).padStart(6, '0')}\r\nQUIT\r\n`)
          await client.expect(250)
          await client.expect(250)
          const { text } = await client.expect(250)
          await client.expect(221)
          return text
        }),
      )
      assert.equal(new Set(texts.map(idIn)).size, 1_000)
      for (const n of [0, 499, 999]) {
        assert.equal((await target.kept(idIn(texts[n] ?? ''))).bytes.toString(), `${String(n).padStart(6, '0')}\r\n`)
      }
      const kept = new Set(await target.ids())
      assert.ok(texts.every((text) => kept.has(idIn(text))))
    } finally {
      for (const client of clients) client.close()
    }
  }),

  check('a reset in any state harms no other session and leaves nothing', async (target) => {
    const before = (await target.ids()).length
    const said = [...MAIL, 'DATA']
    const ends: ((client: SocketClient) => Promise<unknown>)[] = [
      async () => {},
      ...said.map((_, n) => (client: SocketClient) => client.send(`${said.slice(0, n).join('\r\n')}\r\n`)),
      (client) => client.send(`${said.join('\r\n')}\r\nSubject: half of\r\n\r\na mess`),
      (client) => client.send(`${said.join('\r\n')}\r\n${'a line\r\n'.repeat(50_000)}`),
      (client) => client.send(`${MAIL.join('\r\n')}\r\nBDAT 1000000 LAST\r\nbegins`),
      (client) => client.send(`${MAIL.join('\r\n')}\r\nBDAT 3\r\nend`),
      (client) => client.send('MAIL FR'),
      (client) => client.send('STARTTLS\r\n'),
      async (client) => {
        await client.send('STARTTLS\r\n')
        await client.reply()
        await client.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]))
      },
      (client) => client.send('QUIT\r\n'),
    ]
    for (const waitMs of [0, 30]) {
      for (const end of ends) {
        using client = await SocketClient.ready(target.smtp)
        await end(client).catch(() => {})
        await sleep(waitMs)
        client.reset()
      }
    }
    using knocking = await SocketClient.connect(target.smtp)
    knocking.reset()
    await transaction(target, [[Buffer.from(`${MAIL.join('\r\n')}\r\nBDAT 1 LAST\r\nx`)]], [250, 250, 250], 'x')
    assert.equal((await target.ids()).length, before + 1)
  }),

  {
    machine: (target) => [target.gaps.STARTTLS === undefined ? SWAKS_TLS : SWAKS],
    ...check('swaks delivers a message, and it is kept byte for byte', async (target) => {
      const message = 'Subject: by swaks\r\n\r\n.dots\r\n..and dots\r\n'
      const args = `--server 127.0.0.1:${target.smtp} --helo swaks.example --from ann@sender.example --to bob@postern.example`
      const tls = target.gaps.STARTTLS === undefined ? ['--tls', '--tls-verify', '--tls-ca-path', target.caFile] : []
      const { stdout } = await mustRun('swaks', [
        ...args.split(' '),
        ...tls,
        '--data',
        message.replaceAll('\r\n', '\\n'),
      ])
      const kept = await target.kept(idIn(stdout.toString()))
      // swaks adds one more line end to its input.
      assert.equal(kept.bytes.toString().trimEnd(), message.trimEnd())
      assert.equal(protocolOf(kept), target.gaps.STARTTLS === undefined ? 'ESMTPS' : 'ESMTP')
    }),
  },

  check('nodemailer delivers a message, and it is kept byte for byte', async (target) => {
    const raw = messageOf(3 * MiB).bytes
    const transport = createTransport({
      host: '127.0.0.1',
      port: target.smtp,
      tls: { rejectUnauthorized: false },
      requireTLS: target.gaps.STARTTLS === undefined,
    })
    const envelope = { from: 'ann@sender.example', to: ['bob@postern.example'] }
    const { response } = (await transport.sendMail({ envelope, raw })) as { response: string }
    transport.close()
    const kept = await target.kept(idIn(response))
    assert.equal(difference(kept.bytes, raw), undefined)
    assert.equal(protocolOf(kept), target.gaps.STARTTLS === undefined ? 'ESMTPS' : 'ESMTP')
  }),

  // This check is the last one, because the server has ended after it.
  check(
    'a graceful stop finishes mail in progress, tells idle clients, and ends with 0',
    async (target) => {
      using idle = await SocketClient.ready(target.smtp)
      using busy = await SocketClient.ready(target.smtp)
      await busy.send(`${MAIL.join('\r\n')}\r\nDATA\r\nSubject: half\r\n`)
      for (const code of [250, 250, 354]) await busy.expect(code)
      const stopped = target.stop?.()
      await idle.expect(421, '4.3.2')
      await idle.ended()
      await busy.send('\r\nand whole\r\n.\r\n')
      const { text } = await busy.expect(250)
      await busy.expect(421, '4.3.2')
      await busy.ended()
      assert.equal(await stopped, 0)
      assert.equal((await target.kept(idIn(text))).bytes.toString(), 'Subject: half\r\n\r\nand whole\r\n')
    },
    'graceful stop',
  ),
]

function check(name: string, run: (target: Target) => Promise<void>, ...needs: Ability[]): BlackBoxCheck {
  return { name, needs, run }
}

/** Runs one transaction in its own session. Sends each batch of pieces when the replies to the previous one have come. */
async function transaction(
  target: Target,
  batches: readonly (readonly Buffer[])[],
  codes: readonly number[],
  text: string = TEXT,
): Promise<void> {
  using client = await SocketClient.ready(target.smtp)
  let heard = 0
  let last = ''
  for (const pieces of batches) {
    for (const [n, piece] of pieces.entries()) {
      if (n > 0) await sleep(CROSSING_MS)
      await client.send(piece)
    }
    const end = batches.length > 1 && heard === 0 ? codes.indexOf(354) + 1 : codes.length
    for (; heard < end; heard++) last = (await client.expect(codes[heard] ?? 0)).text
  }
  assert.equal((await target.kept(idIn(last))).bytes.toString(), text)
  await client.quit()
}

async function byOpenssl(target: Target, flag: '-tls1_2' | '-tls1_3', isImplicit: boolean): Promise<void> {
  const { bytes } = messageOf(200_000)
  const args = ['-connect', `127.0.0.1:${isImplicit ? target.smtps : target.smtp}`, flag, '-servername', 'localhost']
  if (!isImplicit) args.push('-starttls', 'smtp', '-name', 'clear.example')
  const lines = ['EHLO tls.example', ...MAIL, 'DATA'].map((line) => `${line}\r\n`)
  const heard = await throughTls(target.caFile, args, [...lines, textOf(bytes), 'QUIT\r\n'])
  const kept = await target.kept(idIn(heard))
  assert.equal(difference(kept.bytes, bytes), undefined)
  assert.equal(protocolOf(kept), 'ESMTPS')
  assert.deepEqual(kept.record.session.hello, { verb: 'EHLO', name: 'tls.example' })
}

function cutsOf(bytes: Buffer): Buffer[][] {
  return Array.from({ length: bytes.length - 1 }, (_, n) => [bytes.subarray(0, n + 1), bytes.subarray(n + 1)])
}

async function each<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += AT_ONCE) await Promise.all(all.slice(at, at + AT_ONCE).map(run))
}
