/** Messages that arrive, whole and with the right envelope. */
import {
  type ClientCheck,
  envelope,
  expectEqual,
  expectFailure,
  FROM,
  octets,
  ORDINARY,
  recorded,
  SECURE,
  sha256,
  taken,
  TO,
  type Way,
} from './check.ts'

const MESSAGE = octets('Subject: dots\r\n\r\n.\r\n..\r\n.dot\r\n\r\nGrüße\r\n.\r\n')
const EVERYWHERE: readonly Way[] = [...ORDINARY, 'old server']
const LARGE_BYTES = 5 * 1024 * 1024

/** Lines of text that are all different, so that a lost or doubled piece is seen. */
function large(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LARGE_BYTES)
  const line = new Uint8Array(64)
  for (let at = 0; at < LARGE_BYTES; at += 64) {
    const { written } = new TextEncoder().encodeInto(`.${at}`, line)
    bytes.fill(0x61, at, at + 62).set(line.subarray(0, written), at)
    bytes.set([13, 10], at + 62)
  }
  return bytes
}

/** Cuts bytes into pieces of changing size. */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  let size = 1
  for (let at = 0; at < bytes.length; at += size) {
    size = (size * 7 + 3) % 100_003
    yield bytes.subarray(at, at + size)
  }
}

/** A stream of all pieces. Its reader asks for each. */
function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const source = pieces(bytes)
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
  })
}

export const messages: readonly ClientCheck[] = [
  {
    name: 'a small message arrives as it was sent, and another after it',
    ways: EVERYWHERE,
    async run({ open }) {
      const client = await open()
      for (const forwardPaths of [[TO], [TO, 'cat@postern.example']]) {
        const result = await client.send(envelope(forwardPaths), MESSAGE)
        const { from, to, size, sha256: hash } = taken(result)
        expectEqual([from, to, size, hash], [FROM, forwardPaths, MESSAGE.length, await sha256(MESSAGE)], 'the message')
        expectEqual(
          result.recipients.map(({ address, isAccepted, stage }) => [address, isAccepted, stage]),
          forwardPaths.map((address) => [address, true, 'final']),
          'the recipients',
        )
      }
      await client.quit()
    },
  },
  {
    name: 'a small message takes one round trip',
    ways: ORDINARY,
    async run({ open }) {
      const { lines, trace } = recorded()
      const client = await open({ trace })
      const before = lines.length
      await client.send(envelope(), MESSAGE)
      const [mail, rcpt, last, ...replies] = lines.slice(before)
      expectEqual(
        [mail, rcpt].map((line) => line?.slice(0, 7)),
        ['C: MAIL', 'C: RCPT'],
        'the first commands',
      )
      expectEqual(last, `C: BDAT ${MESSAGE.length} LAST`, 'the last command')
      expectEqual(replies.every((line) => line.startsWith('S: 250')) && replies.length === 3, true, 'the replies')
      await client.quit()
    },
  },
  {
    name: 'a server without PIPELINING and CHUNKING gets one command at a time, and the message by DATA',
    ways: ['old server'],
    async run({ open }) {
      const { lines, trace } = recorded()
      const client = await open({ trace })
      const before = lines.length
      await client.send(envelope(), MESSAGE)
      const words = lines.slice(before).map((line) => line.slice(0, 7).trim())
      expectEqual(words, ['C: MAIL', 'S: 250', 'C: RCPT', 'S: 250', 'C: DATA', 'S: 354', 'S: 250'], 'the dialogue')
      await client.quit()
    },
  },
  {
    name: 'a stream of 5 MiB arrives whole',
    ways: EVERYWHERE,
    async run({ open }) {
      const bytes = large()
      const hash = await sha256(bytes)
      const client = await open()
      for (const message of [pieces(bytes), streamOf(bytes)]) {
        let sent = 0
        const result = await client.send(envelope(), message, { onProgress: (octetsSent) => (sent = octetsSent) })
        expectEqual([taken(result).size, taken(result).sha256], [bytes.length, hash], 'the message')
        expectEqual(sent >= bytes.length, true, 'the progress')
      }
      await client.quit()
    },
  },
  {
    name: '1,000 recipients are pipelined, and each has its outcome in order',
    ways: ['clear', 'LMTP'],
    async run({ open }) {
      const forwardPaths = Array.from({ length: 1_000 }, (_, at) =>
        at % 10 === 3 ? `nobody@${at}.example` : `a@${at}.example`,
      )
      const client = await open()
      const { recipients } = await client.send(envelope(forwardPaths), MESSAGE)
      expectEqual(
        recipients.map(({ address }) => address),
        forwardPaths,
        'the addresses',
      )
      const refused = recipients.filter(({ isAccepted }) => !isAccepted)
      expectEqual(
        refused.map(({ address }) => address),
        forwardPaths.filter((path) => path.startsWith('nobody')),
        'the refused',
      )
      await client.quit()
    },
  },
  {
    name: 'the parameters of a message reach the server',
    ways: ['implicit TLS'],
    async run({ open }) {
      const client = await open()
      const result = await client.send(
        {
          reversePath: '',
          forwardPaths: [{ address: 'jörg@postern.example', notify: ['FAILURE', 'DELAY'] }],
          ret: 'HDRS',
          envelopeId: 'a b',
          priority: 3,
        },
        MESSAGE,
      )
      const { from, to, parameters } = taken(result)
      expectEqual([from, to], ['', ['jörg@postern.example']], 'the addresses')
      for (const parameter of [
        'SMTPUTF8',
        'BODY=8BITMIME',
        `SIZE=${MESSAGE.length}`,
        'RET=HDRS',
        'MT-PRIORITY=3',
        'NOTIFY=FAILURE,DELAY',
      ])
        if (!parameters.includes(parameter)) throw new Error(`${parameter} is not in ${parameters}`)
      await client.quit()
    },
  },
  {
    name: 'REQUIRETLS is sent if the certificate of the server was checked',
    ways: SECURE,
    async run({ open }) {
      const client = await open()
      const { parameters } = taken(await client.send({ ...envelope(), requireTls: true }, MESSAGE))
      if (!parameters.includes('REQUIRETLS')) throw new Error(parameters)
      await client.quit()
    },
  },
  {
    name: 'a message that needs REQUIRETLS is not sent in clear',
    ways: ['clear'],
    async run({ open }) {
      const client = await open()
      const attempt = client.send({ ...envelope(), requireTls: true }, MESSAGE)
      await expectFailure(attempt, { reason: 'unsupported', stage: 'mail' })
      await client.quit()
    },
  },
  {
    name: 'a message that is longer than the server takes is not begun',
    ways: ['clear'],
    async run({ open }) {
      const { lines, trace } = recorded()
      const client = await open({ trace })
      const before = lines.length
      const attempt = client.send({ ...envelope(), size: 10_000_001 }, MESSAGE)
      await expectFailure(attempt, { reason: 'unsupported', isTemporary: false })
      expectEqual(lines.slice(before), [], 'the dialogue')
      await client.quit()
    },
  },
]
