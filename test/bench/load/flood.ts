/** A stranger who opens connections and says nothing, and the clients who come meanwhile. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

const HOST = '127.0.0.1'
const TICK_MS = 20
const CLIENT_TIMEOUT_MS = 10_000

export interface Flood {
  readonly port: number
  /** Where the connections come from. */
  readonly localAddress: string
  readonly perSecond: number
  /** How many there are in all. */
  readonly atMost: number
}

/** Begins. @returns what ends it, and tells how many connections there were */
export function flood({ port, localAddress, perSecond, atMost }: Flood): () => Promise<number> {
  const open = new Set<Socket>()
  const startedAt = performance.now()
  let opened = 0
  const timer = setInterval(() => {
    const due = Math.min(atMost, Math.floor(((performance.now() - startedAt) / 1000) * perSecond))
    for (; opened < due; opened++) {
      const socket = connect({ port, host: HOST, localAddress })
      open.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => open.delete(socket))
      socket.resume()
    }
  }, TICK_MS)
  return async () => {
    clearInterval(timer)
    for (const socket of open) socket.destroy()
    while (open.size > 0) await sleep(TICK_MS)
    return opened
  }
}

export interface LateClients {
  readonly port: number
  readonly clients: number
  readonly everyMs: number
  /** How long each waits with its ClientHello. */
  readonly lateMs: number
}

/** How many clients of implicit TLS get their greeting. */
export async function greetedLate({ port, clients, everyMs, lateMs }: LateClients): Promise<number> {
  const outcomes: Promise<boolean>[] = []
  for (let i = 0; i < clients; i++) {
    outcomes.push(isGreeted(port, lateMs))
    await sleep(everyMs)
  }
  return (await Promise.all(outcomes)).filter(Boolean).length
}

function isGreeted(port: number, lateMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const raw = connect({ port, host: HOST })
  const timers = [setTimeout(speak, lateMs), setTimeout(() => raw.destroy(), lateMs + CLIENT_TIMEOUT_MS)]
  raw.on('error', () => {})
  raw.once('close', () => {
    for (const timer of timers) clearTimeout(timer)
    resolve(false)
  })
  function speak(): void {
    const secure = connectTls({ socket: raw, rejectUnauthorized: false })
    secure.on('error', () => raw.destroy())
    secure.once('data', (bytes: Buffer) => {
      resolve(bytes.toString().startsWith('220 '))
      raw.destroy()
    })
  }
  return promise
}
