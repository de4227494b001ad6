/** Sends one transaction by DATA or by BDAT, in a session that has sent EHLO. */
import type { BodyType } from '@postern/engine'
import { type Cut, pieces } from './cut.ts'
import type { ClientReply } from '../kit/client/reply.ts'
import type { SocketClient } from '../kit/client/socket-client.ts'

export interface Transaction {
  readonly from?: string
  readonly to?: readonly string[]
  readonly body?: BodyType
  readonly bytes: Buffer
  /** How the bytes on the wire are cut. */
  readonly cut?: Cut
}

/** How a message is cut into chunks, and whether the last one is empty (`BDAT 0 LAST`). */
export interface Chunking {
  readonly chunks: Cut
  readonly emptyLast: boolean
}

/** Sends MAIL and RCPT, in one packet. */
export async function sendEnvelope(client: SocketClient, transaction: Omit<Transaction, 'bytes'>): Promise<void> {
  const { from = 'ann@sender.example', to = ['bob@postern.example'], body = '7BIT' } = transaction
  const parameters = body === '7BIT' ? '' : ` BODY=${body}`
  const recipients = to.map((address) => `RCPT TO:<${address}>\r\n`)
  await client.send(`MAIL FROM:<${from}>${parameters}\r\n${recipients.join('')}`)
  for (let i = 0; i <= to.length; i++) await client.expect(250)
}

/** Sends a message by DATA. @returns the last reply. */
export async function sendByData(client: SocketClient, transaction: Transaction): Promise<ClientReply> {
  await sendEnvelope(client, transaction)
  await client.command('DATA', 354)
  await sendCut(client, textOf(transaction.bytes), transaction.cut)
  return client.reply()
}

/** Sends a message by BDAT, all chunks in one go. @returns the reply that refused it, or the last one. */
export async function sendByBdat(
  client: SocketClient,
  transaction: Transaction,
  chunking: Chunking,
): Promise<ClientReply> {
  await sendEnvelope(client, transaction)
  const { wire, chunks } = chunksOf(transaction.bytes, chunking)
  const sent = sendCut(client, wire, transaction.cut)
  // If the connection breaks, the error is the missing reply.
  sent.catch(() => {})
  let refusal: ClientReply | undefined
  let last: ClientReply | undefined
  for (let i = 0; i < chunks; i++) {
    // Chunks after a refused one have no open transaction (RFC 3030 2).
    last = refusal === undefined ? await client.reply() : await client.expect(503, '5.5.1')
    if (last.code !== 250) refusal ??= last
  }
  await sent
  return refusal ?? (last as ClientReply)
}

function sendCut(client: SocketClient, bytes: Buffer, cut: Cut = 'whole'): Promise<void> {
  return cut === 'whole' ? client.send(bytes) : client.sendPieces(pieces(bytes, cut))
}

const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e

/** Returns the bytes that DATA sends, with dot-stuffing (RFC 5321 4.5.2) and the end of data. */
export function textOf(bytes: Buffer): Buffer {
  if (bytes.length > 0 && bytes.subarray(-2).toString('latin1') !== '\r\n') {
    throw new Error('DATA cannot carry a message that does not end in CRLF')
  }
  // Byte by byte into one buffer: a large message may have a million lines that begin with a dot.
  const wire = Buffer.allocUnsafe(Math.ceil((bytes.length * 4) / 3) + 4)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte === DOT && (at === 0 || (bytes[at - 1] === LF && bytes[at - 2] === CR))) wire[length++] = DOT
    wire[length++] = byte
  }
  return wire.subarray(0, length + wire.write('.\r\n', length, 'latin1'))
}

/** Returns the commands and octets that BDAT sends, and the number of chunks. */
function chunksOf(bytes: Buffer, { chunks, emptyLast }: Chunking): { wire: Buffer; chunks: number } {
  const cut = [...pieces(bytes, chunks)]
  if (emptyLast || cut.length === 0) cut.push(Buffer.alloc(0))
  const parts = cut.flatMap((chunk, i) => [
    Buffer.from(`BDAT ${chunk.length}${i === cut.length - 1 ? ' LAST' : ''}\r\n`),
    chunk,
  ])
  return { wire: Buffer.concat(parts), chunks: cut.length }
}
