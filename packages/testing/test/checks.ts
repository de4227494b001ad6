/** What an inbox must do, without a test runner and for any runtime with sockets. */
import { deepEqual, doesNotMatch, equal, match, ok, rejects } from 'node:assert/strict'
import { STAGES } from '../src/faults.ts'
import { NoMessageError, testInbox, type Stage, type TestInboxOptions } from '../src/index.ts'
import { errorOf, FROM, said, send, TO, withClient, withInbox } from './client.ts'

export interface InboxCheck {
  readonly name: string
  run(): Promise<void>
}

/** Longer than any test. */
const HOUR_MS = 3_600_000

/** Commands of one message, up to the stage. Each but the last is accepted. */
const COMMANDS: Readonly<Record<Stage, readonly string[]>> = {
  connect: [],
  mail: ['EHLO c.example', `MAIL FROM:<${FROM}>`],
  rcpt: ['EHLO c.example', `MAIL FROM:<${FROM}>`, `RCPT TO:<${TO}>`],
  data: ['EHLO c.example', `MAIL FROM:<${FROM}>`, `RCPT TO:<${TO}>`, 'DATA', 'Subject: x\r\n\r\nx\r\n.'],
}

/** Returns the names of the options that the inbox rejects. */
async function rejected(options: readonly unknown[]): Promise<string[]> {
  const errors = options.map((one) => errorOf(testInbox(one as TestInboxOptions)))
  return (await Promise.all(errors)).map(({ message }) => message)
}

/** Returns how the server answered 40 MAILs. */
async function outcomesOf(options: TestInboxOptions): Promise<string> {
  let outcomes = ''
  await withInbox(options, (inbox) =>
    withClient(inbox, async (client) => {
      await client.reply()
      await client.command('EHLO c.example')
      for (let i = 0; i < 40; i++) {
        const { code } = await client.command(`MAIL FROM:<${FROM}>`)
        outcomes += code === 250 ? '.' : 'x'
        if (code === 250) await client.command('RSET')
      }
    }),
  )
  return outcomes
}

export const CHECKS: readonly InboxCheck[] = [
  {
    name: 'a message is in the list, parsed, when its client has the reply',
    run: () =>
      withInbox({}, async (inbox) => {
        await send(inbox, {
          from: `"Ünal's Shop" <${FROM}>`,
          to: `Ann <${TO}>, team: bob@receiver.example;`,
          cc: 'carol@receiver.example',
          bcc: 'dave@receiver.example',
          replyTo: 'help@sender.example',
          subject: 'Willkommen, Frau Müller 🎉',
          date: new Date(86_400_000),
          messageId: '<1@sender.example>',
          headers: { 'X-Note': 'Grüße' },
          text: 'Your code is 123456.',
          html: '<p>Your code is <b>123456</b>.</p>',
          attachments: [{ filename: 'bill.bin', content: Buffer.from([0, 1, 254, 255]) }],
        })
        equal(inbox.messages.length, 1)
        const [message] = inbox.messages
        ok(message)
        equal(message.envelope.from, FROM)
        deepEqual(message.envelope.to.toSorted(), [
          TO,
          'bob@receiver.example',
          'carol@receiver.example',
          'dave@receiver.example',
        ])
        deepEqual(message.from, { name: `Ünal's Shop`, address: FROM })
        deepEqual(message.to, [
          { name: 'Ann', address: TO },
          { name: '', address: 'bob@receiver.example' },
        ])
        deepEqual(message.cc, [{ name: '', address: 'carol@receiver.example' }])
        deepEqual(message.replyTo, [{ name: '', address: 'help@sender.example' }])
        equal(message.subject, 'Willkommen, Frau Müller 🎉')
        equal(message.date?.getTime(), 86_400_000)
        equal(message.messageId, '<1@sender.example>')
        equal(message.header('x-note'), 'Grüße')
        equal(message.header('Bcc'), undefined)
        equal(message.headers[0]?.name, 'X-Note')
        equal(message.text?.trim(), 'Your code is 123456.')
        equal(message.html?.trim(), '<p>Your code is <b>123456</b>.</p>')
        const [attachment] = message.attachments
        equal(attachment?.filename, 'bill.bin')
        equal(attachment?.mimeType, 'application/octet-stream')
        deepEqual([...(attachment?.content ?? [])], [0, 1, 254, 255])
        equal(message.user, undefined)
        equal(message.parseError, undefined)
      }),
  },
  {
    name: 'the raw bytes are those that the client sent, and the store has them under the trace header',
    run: () =>
      withInbox({}, async (inbox) => {
        const raw = `Subject: raw\r\n\r\n${'.dot and \u00fc\r\n'.repeat(1000)}`
        await send(inbox, { envelope: { from: FROM, to: TO }, raw })
        const [message] = inbox.messages
        equal(message?.source, raw)
        deepEqual(Buffer.from(message?.raw ?? []), Buffer.from(raw))
        const stored = Buffer.from(await (await inbox.store.load(message?.id ?? '')).bytes()).toString()
        match(stored, /^Received: /)
        ok(stored.endsWith(`\r\n${raw}`))
      }),
  },
  {
    name: 'a large message comes whole',
    run: () =>
      withInbox({}, async (inbox) => {
        const raw = `Subject: large\r\n\r\n${`${'0123456789'.repeat(99)}\r\n`.repeat(10_000)}`
        await send(inbox, { envelope: { from: FROM, to: TO }, raw })
        equal(inbox.messages[0]?.raw.length, raw.length)
        equal(inbox.messages[0]?.source, raw)
      }),
  },
  {
    name: 'a message that cannot be parsed is kept, and says why',
    run: () =>
      withInbox({}, async (inbox) => {
        const nested = Array.from({ length: 300 }, (_, i) => {
          return `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`
        })
        await send(inbox, { envelope: { from: FROM, to: TO }, raw: `Subject: deep\r\n${nested.join('')}` })
        const message = await inbox.waitFor({ to: TO })
        ok(message.parseError instanceof Error)
        equal(message.subject, undefined)
        match(message.source, /^Subject: deep\r\n/)
      }),
  },
  {
    name: 'waitFor finds a message that came already, by each field',
    run: () =>
      withInbox({}, async (inbox) => {
        await send(inbox, { to: 'bob@receiver.example', subject: 'For Bob', text: 'code 1' })
        await send(inbox, { subject: 'For Ann', text: 'code 2' })
        await send(inbox, { from: 'Robot <robot@sender.example>', subject: 'For Ann too', text: 'code 3' })
        const [bob, ann, robot] = inbox.messages
        ok(bob && ann && robot)
        equal(await inbox.waitFor(), bob)
        equal(await inbox.waitFor({ to: TO.toUpperCase() }), ann)
        equal(await inbox.waitFor({ to: /^ann@/ }), ann)
        const pattern = /For/g
        equal(await inbox.waitFor({ subject: pattern }), bob)
        equal(await inbox.waitFor({ subject: pattern }), bob)
        equal(await inbox.waitFor({ subject: 'For Ann' }), ann)
        equal(await inbox.waitFor({ subject: /too$/ }), robot)
        equal(await inbox.waitFor({ from: 'robot@sender.example' }), robot)
        equal(await inbox.waitFor({ text: 'code 2' }), ann)
        equal(await inbox.waitFor({ text: /code [23]/ }), ann)
        equal(await inbox.waitFor({ to: TO, after: ann }), robot)
        equal(await inbox.waitFor({ where: ({ subject }) => subject?.includes('too') === true }), robot)
        await rejects(inbox.waitFor({ to: TO, subject: 'For Bob', timeoutMs: 0 }), NoMessageError)
        await rejects(inbox.waitFor({ after: robot, timeoutMs: 0 }), NoMessageError)
      }),
  },
  {
    name: 'waitFor waits for a message that comes later, and passes over others',
    run: () =>
      withInbox({}, async (inbox) => {
        const ann = inbox.waitFor({ to: TO, timeoutMs: HOUR_MS })
        const any = inbox.waitFor({ timeoutMs: HOUR_MS })
        const broken = inbox.waitFor({
          timeoutMs: HOUR_MS,
          where: () => {
            throw new Error('a mistake in a test')
          },
        })
        const mistake = rejects(broken, /a mistake in a test/)
        await send(inbox, { to: 'bob@receiver.example', subject: 'For Bob' })
        await send(inbox, { subject: 'For Ann' })
        equal((await ann).subject, 'For Ann')
        equal((await any).subject, 'For Bob')
        await mistake
      }),
  },
  {
    name: 'the error of waitFor lists what came, and what was refused',
    run: () =>
      withInbox({ refuse: { stage: 'rcpt', address: 'eve@receiver.example', code: 550 } }, async (inbox) => {
        const raw = 'Subject: =?utf-8?q?two=0D=0Alines?=\r\n\r\nx\r\n'
        await send(inbox, { envelope: { from: FROM, to: 'bob@receiver.example' }, raw })
        await errorOf(send(inbox, { to: 'eve@receiver.example' }))
        const { message, name, stack } = await errorOf(inbox.waitFor({ to: TO, subject: /hi/i, timeoutMs: 1 }))
        equal(name, 'NoMessageError')
        match(stack ?? '', /checks\.ts/)
        deepEqual(message.split('\n'), [
          `a message with to '${TO}', subject /hi/i: none came within 1 ms`,
          '1 message came that did not match:',
          `  from ${FROM} to bob@receiver.example: "two\\r\\nlines"`,
          '2 refused or broken:',
          '  RCPT: 550 5.0.0 Refused by the test',
          '  DATA: 554 5.5.1 No valid recipients',
        ])
      }),
  },
  {
    name: 'the error of waitFor is short, however much came',
    run: () =>
      withInbox({}, async (inbox) => {
        for (let i = 0; i < 15; i++) await send(inbox, { subject: `${i} ${'long '.repeat(100)}` })
        const { message } = await errorOf(inbox.waitFor({ to: 'nobody@receiver.example', timeoutMs: 0 }))
        const lines = message.split('\n')
        equal(lines.length, 13)
        equal(lines[1], '15 messages came that did not match:')
        equal(lines[2], '  (5 earlier)')
        match(lines[12] ?? '', /: "14 long .*…$/)
        ok(lines.every((line) => line.length < 210))
      }),
  },
  {
    name: 'waitFor ends in time if the test has replaced the timers',
    run: () =>
      withInbox({}, async (inbox) => {
        const { setTimeout } = globalThis
        let wait: Promise<unknown> | undefined
        try {
          globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout
          wait = inbox.waitFor({ timeoutMs: 1 })
        } finally {
          globalThis.setTimeout = setTimeout
        }
        await rejects(wait, NoMessageError)
      }),
  },
  {
    name: 'a mistyped option, filter or fault is an error that names it',
    run: async () => {
      deepEqual(
        await rejected([
          { tsl: 'starttls' },
          { tls: true },
          { port: 65_536 },
          { login: 'all' },
          { login: { ann: 7 } },
          { maxMessages: 0 },
          { limits: { maxMessageBytes: 0 } },
          { refuse: { stage: 'from', code: 550 } },
          { refuse: { stage: 'rcpt', code: 250 } },
          { refuse: { stage: 'rcpt', code: 550, enhancedCode: '4.1.1' } },
          { refuse: [{ stage: 'rcpt', code: 550, rate: 2 }] },
          { refuse: { stage: 'rcpt', code: 550, rate: '1' } },
          { refuse: { stage: 'rcpt', code: 550, text: 5 } },
          { refuse: { stage: 'rcpt', code: 550, address: 5 } },
          { disconnect: { stage: 'data', code: 550 } },
          { disconnect: { stage: 'data', address: TO } },
          { delayMs: -1 },
          { delayMs: { helo: 1 } },
        ]),
        [
          'testInbox.tsl: "starttls" is not a field of it; the fields are refuse, disconnect, delayMs, host, port, tls, login, maxMessages, maxBytes, limits, seed',
          `tls: true is not one of 'starttls', 'implicit', false`,
          'port: 65536 is not a whole number from 0 to 65535',
          `login: "all" is not 'any', false, or an object of names and their passwords`,
          'login.ann: "number" is not a password in a string',
          'maxMessages: 0 is not a whole number from 1 to 9007199254740991',
          'limits.maxMessageBytes: 0 is not a whole number from 1 to 9007199254740991',
          `refuse.stage: "from" is not one of 'connect', 'mail', 'rcpt', 'data'`,
          'refuse.code: 250 is not a whole number from 400 to 599',
          'refuse.enhancedCode: "4.1.1" is not an enhanced code that fits 550',
          'refuse.rate: 2 is not a number from 0 to 1',
          'refuse.rate: "1" is not a number from 0 to 1',
          'refuse.text: 5 is not a string',
          'refuse.address: 5 is not an address in a string',
          'disconnect.code: 550 is not a field of it; the fields are stage, rate, times, address',
          `disconnect.address: "${TO}" is not for stage 'data': only 'mail' and 'rcpt' have an address`,
          'delayMs: -1 is not a whole number from 0 to 2147483647',
          'delayMs.helo: 1 is not a field of it; the fields are connect, mail, rcpt, data',
        ],
      )
      await withInbox({}, async (inbox) => {
        const wait = inbox.waitFor({ recipient: TO } as object)
        match((await errorOf(wait)).message, /^waitFor\.recipient: ".*" is not a field of it/)
        const typed = inbox.waitFor({ to: [TO] as unknown as string })
        match((await errorOf(typed)).message, /^waitFor\.to: .* is not a string or a pattern/)
      })
    },
  },
  ...STAGES.map((stage): InboxCheck => ({
    name: `a refusal at '${stage}' is the reply there, and after its times mail is accepted`,
    run: () =>
      withInbox({ refuse: { stage, code: 451, enhancedCode: '4.7.1', text: 'Later', times: 1 } }, async (inbox) => {
        await withClient(inbox, async (client) => {
          if (stage !== 'connect') match(await said(client), /^220 /)
          await client.expectAll(COMMANDS[stage].slice(0, -1))
          equal(await said(client, COMMANDS[stage].at(-1)), '451 4.7.1 Later')
        })
        equal(inbox.messages.length, 0)
        await send(inbox)
        equal(inbox.messages.length, 1)
      }),
  })),
  ...STAGES.map((stage): InboxCheck => ({
    name: `a disconnection at '${stage}' comes in place of the reply, and keeps nothing`,
    run: () =>
      withInbox({ disconnect: { stage, times: 1 } }, async (inbox) => {
        await withClient(inbox, async (client) => {
          if (stage !== 'connect') {
            match(await said(client), /^220 /)
            await client.expectAll(COMMANDS[stage].slice(0, -1))
            client.send(`${COMMANDS[stage].at(-1)}\r\n`)
          }
          await client.closed()
        })
        equal(inbox.messages.length, 0)
        deepEqual((await inbox.store.list()).records, [])
        await send(inbox)
        equal(inbox.messages.length, 1)
      }),
  })),
  {
    name: 'a fault with an address hits this one alone',
    run: () =>
      withInbox({ refuse: { stage: 'rcpt', address: 'Bob@receiver.example', code: 550 } }, async (inbox) => {
        await send(inbox, { to: ['bob@receiver.example', TO] })
        deepEqual(inbox.messages[0]?.envelope.to, [TO])
      }),
  },
  {
    name: 'the same seed gives the same faults, and another seed gives others',
    run: async () => {
      const refuse = { stage: 'mail', code: 450, rate: 0.5 } as const
      const first = await outcomesOf({ refuse, limits: { maxBadCommands: 100 } })
      equal(await outcomesOf({ refuse, seed: 1 }), first)
      ok((await outcomesOf({ refuse, seed: 2 })) !== first)
      match(first, /x.*\..*x/)
      equal(await outcomesOf({ refuse: { ...refuse, rate: 0 } }), '.'.repeat(40))
    },
  },
  {
    name: 'faults can change during a test',
    run: () =>
      withInbox({ refuse: { stage: 'mail', code: 450 } }, async (inbox) => {
        match((await errorOf(send(inbox))).response ?? '', /^450 /)
        inbox.setFaults({ refuse: { stage: 'data', code: 554 } })
        match((await errorOf(send(inbox))).response ?? '', /^554 /)
        inbox.setFaults({})
        await send(inbox)
      }),
  },
  {
    name: 'a delay holds up the replies of its stage, and no other, and ends with the inbox',
    run: () =>
      withInbox({ delayMs: { rcpt: HOUR_MS, mail: 1 } }, (inbox) =>
        withClient(inbox, async (client) => {
          match(await said(client), /^220 /)
          await client.expectAll(COMMANDS.mail)
          client.send(`RCPT TO:<${TO}>\r\n`)
          await withClient(inbox, async (other) => {
            match(await said(other), /^220 /)
            await other.expectAll(COMMANDS.mail)
          })
          equal(client.unread, '')
          await inbox.close()
          await client.repliesToEnd()
        }),
      ),
  },
  {
    name: `tls: 'starttls' offers STARTTLS with a certificate that a client can trust`,
    run: () =>
      withInbox({ tls: 'starttls' }, async (inbox) => {
        equal(inbox.url, `smtp://127.0.0.1:${inbox.port}`)
        await send(inbox, {}, { requireTLS: true })
        ok(inbox.messages[0]?.record.session.tls)
        equal(inbox.messages[0]?.record.session.transmissionType, 'ESMTPS')
        await send(inbox, {}, { ignoreTLS: true })
        equal(inbox.messages[1]?.record.session.tls, undefined)
      }),
  },
  {
    name: `tls: 'implicit' begins with TLS`,
    run: () =>
      withInbox({ tls: 'implicit' }, async (inbox) => {
        equal(inbox.url, `smtps://127.0.0.1:${inbox.port}`)
        await send(inbox, {}, { secure: true })
        ok(inbox.messages[0]?.record.session.tls)
      }),
  },
  {
    name: 'any login is accepted, and recorded without its password',
    run: () =>
      withInbox({}, async (inbox) => {
        await send(inbox, {}, { auth: { user: 'shop', pass: 'hunter2' } })
        await send(inbox)
        deepEqual(
          inbox.messages.map(({ user }) => user),
          ['shop', undefined],
        )
        equal(inbox.messages[0]?.record.session.user, 'shop')
        doesNotMatch(JSON.stringify(inbox.messages[0]?.record), /hunter2/)
      }),
  },
  {
    name: 'with a table of logins only these may send',
    run: () =>
      withInbox({ login: { shop: 'hunter2' } }, async (inbox) => {
        await send(inbox, {}, { auth: { user: 'shop', pass: 'hunter2' } })
        equal(inbox.messages[0]?.user, 'shop')
        match((await errorOf(send(inbox, {}, { auth: { user: 'shop', pass: 'wrong' } }))).response ?? '', /^535 /)
        match((await errorOf(send(inbox, {}, { auth: { user: 'toString', pass: 'x' } }))).response ?? '', /^535 /)
        match((await errorOf(send(inbox))).response ?? '', /^530 /)
        equal(inbox.messages.length, 1)
      }),
  },
  {
    name: 'login: false offers no AUTH',
    run: () =>
      withInbox({ login: false }, (inbox) =>
        withClient(inbox, async (client) => {
          await client.reply()
          const { raw } = await client.command('EHLO c.example')
          doesNotMatch(raw, /AUTH/)
        }),
      ),
  },
  {
    name: 'a full inbox refuses with the name of its limit, until it is cleared',
    run: async () => {
      await withInbox({ maxMessages: 1 }, async (inbox) => {
        await send(inbox)
        const { response } = await errorOf(send(inbox))
        equal(response, '452 4.3.1 The test inbox is full: maxMessages is 1')
        await inbox.clear()
        equal(inbox.messages.length, 0)
        deepEqual((await inbox.store.list()).records, [])
        await send(inbox, { subject: 'Again' })
        equal(inbox.messages[0]?.subject, 'Again')
      })
      await withInbox({ maxBytes: 20_000 }, async (inbox) => {
        const { response } = await errorOf(send(inbox, { text: 'x'.repeat(30_000) }))
        equal(response, '452 4.3.1 The test inbox is full: maxBytes is 20000')
        await send(inbox)
        equal(inbox.messages.length, 1)
      })
      await withInbox({ limits: { maxMessageBytes: 5_000 } }, async (inbox) => {
        match((await errorOf(send(inbox, { text: 'x'.repeat(10_000) }))).message, /552|size/i)
      })
    },
  },
  {
    name: 'ten thousand fields are parsed, and a header above its limit is a parseError',
    run: () =>
      withInbox({}, async (inbox) => {
        const fields = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: value\r\n`).join('')
        for (const count of [10_000, 30_000]) {
          await withClient(inbox, async (client) => {
            await client.reply()
            await client.expectAll(COMMANDS.data.slice(0, -1))
            match(await said(client, `${fields(count)}Subject: Last\r\n\r\nx\r\n.`), /^250 /)
          })
        }
        const [many, tooMany] = inbox.messages
        equal(many?.headers.length, 10_001)
        equal(many?.subject, 'Last')
        match(tooMany?.parseError?.message ?? '', /header size/)
        deepEqual(tooMany?.headers, [])
        ok((tooMany?.raw.length ?? 0) > 262_144)
      }),
  },
  {
    name: 'close ends connections and waits, and frees the port',
    run: async () => {
      const inbox = await testInbox()
      const { port } = inbox
      const wait = errorOf(inbox.waitFor({ to: TO, timeoutMs: HOUR_MS }))
      await withClient(inbox, async (client) => {
        match(await said(client), /^220 /)
        await Promise.all([inbox.close(), inbox.close()])
        equal(await said(client), '421 4.3.2 Server is shutting down')
        await client.closed()
      })
      match((await wait).message, /: the inbox was closed while a test waited for it$/)
      const next = await testInbox({ port })
      equal(next.port, port)
      await next[Symbol.asyncDispose]()
      await rejects(send(next))
    },
  },
]
