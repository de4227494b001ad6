/** One visit of each kind of client. A visit throws if the client was not served. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SocketClient } from '../../../kit/client/socket-client.ts'
import { sendByData, sendEnvelope } from '../../../corpus/send.ts'
import type { ClientOrder } from '../order.ts'

/** One visit. If the signal is aborted, it ends early if it can. */
export type Visitor = (ending: AbortSignal) => Promise<void>

const MESSAGE = Buffer.from('Subject: hello\r\n\r\nHello\r\n')
const LINE_MS = 100

export function visitorOf(order: ClientOrder): Visitor {
  switch (order.kind) {
    case 'mail':
      return order.maxVisits === 1 ? overOne(order) : () => mail(order)
    case 'login':
      return () => login(order)
    case 'greeting':
      return () => hearGreeting(order)
    case 'request':
      return () => request(order)
    case 'slow':
      return (ending) => sendSlowly(order, ending)
  }
}

/** Sends all messages over one connection, as long as the connection lasts. */
function overOne(order: ClientOrder): Visitor {
  let client: SocketClient | undefined
  return async () => {
    try {
      client ??= await greeted(order)
      expectKept((await sendByData(client, { bytes: MESSAGE })).code)
    } catch (error) {
      client?.close()
      client = undefined
      throw error
    }
  }
}

async function mail(order: ClientOrder): Promise<void> {
  using client = await greeted(order)
  expectKept((await sendByData(client, { bytes: MESSAGE })).code)
}

async function login(order: ClientOrder): Promise<void> {
  using client = await greeted(order)
  const { username = '', password = '' } = order.login ?? {}
  await client.command(`AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString('base64')}`, 235)
}

async function hearGreeting(order: ClientOrder): Promise<void> {
  using client = await open(order)
  await client.expect(220)
}

/** Waits for the first reply to it, whatever that is. */
async function request(order: ClientOrder): Promise<void> {
  using client = await connected(order)
  await client.send('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
  await client.reply()
}

async function sendSlowly(order: ClientOrder, ending: AbortSignal): Promise<void> {
  using client = await greeted(order)
  await sendEnvelope(client, {})
  await client.command('DATA', 354)
  await client.send('Subject: slow\r\n\r\n')
  while (!ending.aborted) {
    await client.send('One line of a message that takes its time\r\n')
    await sleep(LINE_MS)
  }
  await client.send('.\r\n')
  await client.expect(250)
}

function expectKept(code: number): void {
  if (code !== 250) throw new Error(`got "${code}"`)
}

async function greeted(order: ClientOrder): Promise<SocketClient> {
  const client = await open(order)
  try {
    await client.ehlo()
    return client
  } catch (error) {
    client.close()
    throw error
  }
}

async function open(order: ClientOrder): Promise<SocketClient> {
  const client = await connected(order)
  if (order.isSecure === true) await client.startTls()
  return client
}

/** Connects, and waits before it sends. */
async function connected({ port, address, delayMs = 0 }: ClientOrder): Promise<SocketClient> {
  const client = await SocketClient.connect(port, { localAddress: address })
  await sleep(delayMs)
  if (!client.isOver) return client
  client.close()
  throw new Error('connection is over')
}
