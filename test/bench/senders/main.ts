/** Sends messages by a client, in its own process: `main.ts postern` or `main.ts nodemailer`. It reads orders from standard input. */
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Client } from '@postern/engine/client'
import { createTransport } from 'nodemailer'
import { messageText } from '../load/message.ts'
import type { SenderOrder, SenderOutcome } from './order.ts'

/** Sends one message. `lane` numbers those that are sent at the same time. */
type Send = (order: SenderOrder, bytes: Buffer, lane: number) => Promise<void>

const PIECE_BYTES = 65_536
const FROM = 'sender@example.com'
const TO = 'someone@example.org'
const HOSTNAME = 'client.example.com'

const send = process.argv[2] === 'nodemailer' ? nodemailer() : await postern()

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await obey(JSON.parse(line) as SenderOrder).catch((error: Error): SenderOutcome => ({
    wallMs: 0,
    error: error.message,
  }))
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}

async function obey(order: SenderOrder): Promise<SenderOutcome> {
  const bytes = Buffer.from(messageText(order.messageBytes, 0))
  const start = performance.now()
  let left = order.messages
  const lane = async (number: number): Promise<void> => {
    while (left-- > 0) await send(order, bytes, number)
  }
  await Promise.all(Array.from({ length: order.atOnce }, (_, number) => lane(number)))
  return { wallMs: performance.now() - start }
}

async function postern(): Promise<Send> {
  const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
  const { connect } = (await import(`@postern/runtime/${runtime}`)) as typeof import('@postern/runtime/node')
  const envelope = { reversePath: FROM, forwardPaths: [TO] }
  const kept = new Map<string, Client>()
  return async ({ port, isConnectionEach, isStream }, bytes, lane) => {
    const key = `${port} ${lane}`
    let client = isConnectionEach ? undefined : kept.get(key)
    client ??= await connect(`smtp://127.0.0.1:${port}`, { hostname: HOSTNAME, startTls: 'never' })
    if (!isConnectionEach) kept.set(key, client)
    await client.send(envelope, isStream ? piecesOf(bytes) : bytes)
    if (isConnectionEach) await client.quit()
  }
}

function nodemailer(): Send {
  const kept = new Map<number, ReturnType<typeof transport>>()
  return async ({ port, isConnectionEach, isStream, atOnce }, bytes) => {
    const way = kept.get(port) ?? transport(port, isConnectionEach, atOnce)
    kept.set(port, way)
    await way.sendMail({ envelope: { from: FROM, to: [TO] }, raw: isStream ? Readable.from(piecesOf(bytes)) : bytes })
  }
}

/** Makes a way to a server. A server of the benchmark gets messages in one way only. */
function transport(
  port: number,
  isConnectionEach: boolean,
  maxConnections: number,
): { sendMail(mail: object): Promise<unknown> } {
  const options = { host: '127.0.0.1', port, name: HOSTNAME, ignoreTLS: true }
  return isConnectionEach
    ? createTransport(options)
    : createTransport({ ...options, pool: true, maxConnections, maxMessages: Number.MAX_SAFE_INTEGER })
}

function* piecesOf(bytes: Buffer): Generator<Buffer, void, undefined> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) yield bytes.subarray(from, from + PIECE_BYTES)
}
