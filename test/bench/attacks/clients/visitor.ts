/** One visit of each kind of client. A visit throws if the client was not served. */
import { connect as connectNet, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { RawClient } from '../../../corpus/raw-client.ts'
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
  let client: RawClient | undefined
  return async () => {
    try {
      client ??= await greeted(order)
      expectKept((await sendByData(client, { bytes: MESSAGE })).code)
    } catch (error) {
      client?.[Symbol.dispose]()
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
  await client.say(`AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString('base64')}`, 235)
}

async function hearGreeting(order: ClientOrder): Promise<void> {
  using client = await open(order)
  await client.expect(220)
}

async function request(order: ClientOrder): Promise<void> {
  const socket = await connected(order)
  try {
    socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
    await firstBytes(socket)
  } finally {
    socket.destroy()
  }
}

async function sendSlowly(order: ClientOrder, ending: AbortSignal): Promise<void> {
  using client = await greeted(order)
  await sendEnvelope(client, {})
  await client.say('DATA', 354)
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

async function greeted(order: ClientOrder): Promise<RawClient> {
  const client = await open(order)
  try {
    await client.expect(220)
    await client.say('EHLO client.example', 250)
    return client
  } catch (error) {
    client[Symbol.dispose]()
    throw error
  }
}

async function open(order: ClientOrder): Promise<RawClient> {
  if (order.isSecure !== true) return RawClient.open(order.port, { localAddress: order.address })
  const secure = connectTls({ socket: await connected(order), rejectUnauthorized: false })
  await opened(secure, 'secureConnect')
  return RawClient.over(secure)
}

/** Connects, and waits before it sends. */
async function connected({ port, address, delayMs = 0 }: ClientOrder): Promise<Socket> {
  const socket = connectNet({ port, host: '127.0.0.1', localAddress: address })
  await opened(socket, 'connect')
  await sleep(delayMs)
  if (socket.destroyed || socket.readableEnded) throw new Error('connection is over')
  return socket
}

/** Waits for an event of a socket. Destroys the socket if another event comes first. */
function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error?: Error): void => {
      socket.destroy()
      reject(error ?? new Error('connection is over'))
    }
    socket.once(event, () => resolve())
    // Later errors belong to the client.
    socket.on('error', fail)
    socket.once('close', () => fail())
  })
}

function firstBytes(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.once('close', () => reject(new Error('connection is over')))
  })
}
