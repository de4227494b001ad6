/**
 * A real MTA: Postfix accepts mail and relays it to the server, over STARTTLS, pipelined, in several sessions at a time, with its
 * own schedule of retries. (Its client sends by DATA only, because it has no CHUNKING.)
 */
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { textOf } from '../corpus/send.ts'
import { POSTFIX } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { eventually } from '../kit/waiting.ts'
import { Postfix } from './postfix.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { difference, type Kept, readAll } from './store.ts'

const FROM = 'ann@sender.example'
const MESSAGES = 200
const SESSIONS = 8
const DELIVERY_TIMEOUT_MS = 45_000
let served: Served
let postfix: Postfix

beforeAll(async () => {
  if (POSTFIX.missing !== undefined) return
  served = await serveClients()
  postfix = await Postfix.start(served.scratch, { relayPort: served.smtp, caFile: served.caFile })
})
afterAll(async () => {
  await postfix?.[Symbol.asyncDispose]()
  await served?.[Symbol.asyncDispose]()
})

interface Sent {
  readonly to: readonly string[]
  readonly bytes: Buffer
  readonly parameters?: { readonly mail: string; readonly rcpt: string }
}

/** A message with all the fields that Postfix would otherwise add. */
function message(name: string, body: string | Buffer): Buffer {
  const fields = ['From: ann@sender.example', `To: ${name}@postern.example`, `Subject: ${name}`]
  fields.push('Date: Fri, 21 Nov 2025 05:42:00 +0000', `Message-ID: <${name}@sender.example>`, '', '')
  return Buffer.concat([Buffer.from(fields.join('\r\n')), Buffer.from(body as Buffer)])
}

/** Hands messages to Postfix by SMTP, in one session. */
async function submit(messages: readonly Sent[]): Promise<void> {
  using client = await SocketClient.ready(postfix.port)
  for (const { to, bytes, parameters } of messages) {
    await client.command(`MAIL FROM:<${FROM}>${parameters?.mail ?? ''}`, 250)
    for (const address of to) await client.command(`RCPT TO:<${address}>${parameters?.rcpt ?? ''}`, 250)
    await client.command('DATA', 354)
    await client.send(textOf(bytes))
    await client.expect(250)
  }
  await client.quit()
}

/** Waits until every sent message is in the store, or bounced. */
async function waitFor(isThere: (all: readonly Kept[]) => boolean): Promise<readonly Kept[]> {
  let all: readonly Kept[] = []
  const looked = async (): Promise<boolean> => {
    all = await readAll(served.store)
    return isThere(all)
  }
  try {
    await eventually(looked, 'the mail is in the store', DELIVERY_TIMEOUT_MS)
    return all
  } catch (error) {
    const queue = `${await postfix.queue()}\n${await postfix.log()}`
    throw new Error(`${all.length} messages came; the queue:\n${queue}`, { cause: error })
  }
}

/** Returns the bytes that Postfix got: all below the trace header that Postfix added itself. */
function belowItsTrace(kept: Kept): Buffer {
  const { bytes } = kept
  expect(bytes.subarray(0, 9).toString()).toBe('Received:')
  for (let at = bytes.indexOf('\r\n'); at >= 0; at = bytes.indexOf('\r\n', at + 2)) {
    if (bytes[at + 2] !== 0x20 && bytes[at + 2] !== 0x09) return bytes.subarray(at + 2)
  }
  return bytes.subarray(bytes.length)
}

function recipientsOf(kept: Kept): string[] {
  return kept.record.forwardPaths.map((path) => path.address)
}

function addressedTo(all: readonly Kept[], address: string): Kept[] {
  return all.filter((kept) => recipientsOf(kept).includes(address))
}

testWith(
  [POSTFIX],
  'postfix relays 200 messages over TLS, some to several recipients, and all arrive once and whole',
  async () => {
    const sent = Array.from({ length: MESSAGES }, (_, i): Sent => {
      const count = i % 10 === 0 ? 5 : 1
      const to = Array.from({ length: count }, (_, n) => `relay${i}-${n}@postern.example`)
      return { to, bytes: message(`relay${i}`, `${i}\r\n`.repeat(i * 10)) }
    })
    sent[1] = {
      to: ['eight@postern.example'],
      bytes: message('eight', Buffer.from('Gr\xfc\xdfe\r\n', 'latin1')),
      parameters: { mail: ' BODY=8BITMIME', rcpt: '' },
    }
    sent[2] = { to: ['dots@postern.example'], bytes: message('dots', '.\r\n..\r\n...\r\n.a\r\n\r\n.\r\n') }
    sent[3] = {
      to: ['dsn@postern.example'],
      bytes: message('dsn', 'report\r\n'),
      parameters: { mail: ' RET=HDRS ENVID=batch+2B7', rcpt: ' NOTIFY=NEVER ORCPT=rfc822;origin@elsewhere.example' },
    }
    const shares = Array.from({ length: SESSIONS }, (_, n) => sent.filter((_, i) => i % SESSIONS === n))
    await Promise.all(shares.map(submit))

    const expected = new Set(sent.flatMap(({ to }) => to))
    const all = await waitFor((all) => new Set(all.flatMap(recipientsOf)).size >= expected.size)
    expect(all.flatMap(recipientsOf).toSorted()).toEqual([...expected].toSorted())
    for (const { to, bytes } of sent) {
      const [kept, ...more] = addressedTo(all, to[0] as string) as [Kept, ...Kept[]]
      expect(more).toHaveLength(0)
      expectKept(kept, { by: 'ESMTPS', from: FROM, to })
      expect(kept.record.session.hello).toEqual({ verb: 'EHLO', name: 'relay.postern.example' })
      expect(difference(belowItsTrace(kept), bytes)).toBeUndefined()
    }
    const [dsn] = addressedTo(all, 'dsn@postern.example')
    // Postern does not offer DSN, because nothing here sends reports. So Postfix keeps the client's wishes for itself.
    expect(dsn?.record.envelopeId).toBeUndefined()
    expect(dsn?.record.forwardPaths[0]?.parameters).toEqual({})
    const [eight] = addressedTo(all, 'eight@postern.example')
    expect(eight?.record.body).toBe('8BITMIME')
    const sessions = new Set(all.map(({ record }) => record.session.id)).size
    console.info(`postfix: ${all.length} messages, ${expected.size} recipients, ${sessions} sessions`)
    expect(await postfix.log()).toContain('Verified TLS connection established')
  },
  90_000,
)

testWith([POSTFIX], 'postfix relays 5 MiB', async () => {
  const { bytes } = messageOf(5 * MiB)
  await submit([{ to: ['large@postern.example'], bytes }])
  const all = await waitFor((all) => addressedTo(all, 'large@postern.example').length === 1)
  const [kept] = addressedTo(all, 'large@postern.example') as [Kept]
  expectKept(kept, { by: 'ESMTPS' })
  expect(difference(belowItsTrace(kept), bytes)).toBeUndefined()
})

testWith([POSTFIX], 'postfix relays a message with bare line ends that its sendmail submitted', async () => {
  await postfix.sendmail(
    FROM,
    ['local@postern.example'],
    message('local', 'one\r\n.\r\ntwo\r\n').toString().replaceAll('\r', ''),
  )
  const all = await waitFor((all) => addressedTo(all, 'local@postern.example').length === 1)
  const [kept] = addressedTo(all, 'local@postern.example') as [Kept]
  expectKept(kept, { by: 'ESMTPS', from: FROM, to: ['local@postern.example'] })
  expect(difference(belowItsTrace(kept), message('local', 'one\r\n.\r\ntwo\r\n'))).toBeUndefined()
})

testWith([POSTFIX], 'postfix bounces a refused recipient, and the bounce has a null reverse-path', async () => {
  const bytes = message('refused', 'nobody will read this\r\n')
  await submit([{ to: ['nobody@postern.example', 'somebody@postern.example'], bytes }])
  const all = await waitFor((all) => addressedTo(all, FROM).length === 1)
  const [bounce] = addressedTo(all, FROM) as [Kept]
  expectKept(bounce, { by: 'ESMTPS', from: '', to: [FROM] })
  const text = bounce.bytes.toString('latin1')
  expect(text).toContain('Action: failed')
  expect(text).toMatch(/Final-Recipient: rfc822; ?nobody@postern\.example/)
  expect(text).toContain('550 5.1.1 No such mailbox')
  expect(addressedTo(all, 'somebody@postern.example')).toHaveLength(1)
  expect(addressedTo(all, 'nobody@postern.example')).toHaveLength(0)
})

testWith([POSTFIX], 'postfix tries a recipient with 451 again, alone, and the message arrives', async () => {
  const bytes = message('deferred', 'it can wait\r\n')
  await submit([{ to: ['busy1@postern.example', 'ready@postern.example'], bytes }])
  await waitFor((all) => addressedTo(all, 'ready@postern.example').length === 1)
  // On a busy machine Postfix may miss the message when it looks at its queue, and then it waits long.
  const retries = setInterval(() => void postfix.flush().catch(() => {}), 2_000)
  onTestFinished(() => clearInterval(retries))
  const all = await waitFor((all) => addressedTo(all, 'busy1@postern.example').length === 1)
  const [late] = addressedTo(all, 'busy1@postern.example') as [Kept]
  const [first] = addressedTo(all, 'ready@postern.example') as [Kept]
  expect(recipientsOf(late)).toEqual(['busy1@postern.example'])
  expect(recipientsOf(first)).toEqual(['ready@postern.example'])
  expect(late.record.receivedAt > first.record.receivedAt).toBe(true)
  expect(difference(belowItsTrace(late), bytes)).toBeUndefined()
  expect(await postfix.log()).toMatch(/status=deferred .*451 4\.2\.1 Mailbox is busy/)
})
