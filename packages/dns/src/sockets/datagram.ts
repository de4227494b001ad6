/** Asks a server over UDP, from a socket of its own for each query, so that each has another random port (RFC 5452 9.2). */
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { parseIp } from '@postern/engine'
import { type Failed, failed } from '../answer.ts'
import { decodeResponse, encodeQuery, type Message, type Question } from '../message/codec.ts'
import { mixCase } from '../message/letter-case.ts'
import type { AskOptions } from '../upstream.ts'

/** Where a server is. */
export interface ServerAddress {
  /** An IP address, with a zone if it needs one. */
  readonly address: string
  readonly port: number
}

/** After so many answers that do not belong to the query, somebody is probably guessing. Then TCP is asked, where nobody can. */
const MAX_IGNORED = 10

/** @returns the answer; 'use-tcp' if it is too long for UDP, or if answers come that nobody asked for */
export function askOverUdp(
  server: ServerAddress,
  question: Question,
  options: AskOptions,
): Promise<Message | 'use-tcp' | Failed> {
  const { signal, timeoutMs, isExtended, ignored } = options
  const isIpv6 = isIPv6(server.address)
  if (!mayOpenSocket(isIpv6)) return Promise.resolve(failed('unreachable', 'Deno does not allow a socket for UDP'))
  const random = crypto.getRandomValues(new Uint8Array(2 + question.name.length))
  const id = ((random[0] ?? 0) << 8) | (random[1] ?? 0)
  const name = mixCase(question.name, random.subarray(2))
  const query = encodeQuery(id, { name, type: question.type }, options)
  const socket = createSocket(isIpv6 ? 'udp6' : 'udp4')
  const { promise, resolve } = Promise.withResolvers<Message | 'use-tcp' | Failed>()
  let ignoredCount = 0

  function ignore(): void {
    if (ignoredCount === MAX_IGNORED) return
    ignored()
    if (++ignoredCount === MAX_IGNORED) resolve('use-tcp')
  }

  const unreachable = (): void => resolve(failed('unreachable', 'the server cannot be reached over UDP'))
  const aborted = (): void => resolve(failed('aborted', 'nobody waits for the answer'))
  const timer = setTimeout(() => resolve(failed('timeout', 'no answer in time')), timeoutMs)
  signal.addEventListener('abort', aborted)
  // Node and Bun tell that no server listens there. Deno does not, so the time runs out.
  socket.on('error', unreachable)
  socket.on('message', (bytes, { address, port }) => {
    // Deno's sockets also get what others than the server they are connected to send.
    if (port !== server.port || !isSame(address, server.address)) return ignore()
    const message = decodeResponse(bytes)
    if (message === undefined || message.id !== id) return ignore()
    // Somebody who guesses the port and the id can forge this one. It only causes a query without EDNS.
    if (message.question === undefined) return isExtended ? resolve(message) : ignore()
    if (message.question.type !== question.type) return ignore()
    if (message.question.name === name) return resolve(message.isTruncated ? 'use-tcp' : message)
    ignore()
    // A server that does not keep the letter case is asked over TCP, where the case does not matter.
    if (message.question.name.toLowerCase() === question.name) resolve('use-tcp')
  })
  try {
    socket.connect(server.port, server.address, () => {
      socket.send(query, (error) => {
        if (error) unreachable()
      })
    })
  } catch {
    unreachable()
  }
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
    close(socket)
  })
}

/** Asks before the socket is opened, because Deno throws where nobody can catch it. */
function mayOpenSocket(isIpv6: boolean): boolean {
  const { Deno } = globalThis as {
    readonly Deno?: { readonly permissions: { querySync(what: object): { readonly state: string } } }
  }
  const host = isIpv6 ? '[::]:0' : '0.0.0.0:0'
  return Deno === undefined || Deno.permissions.querySync({ name: 'net', host }).state === 'granted'
}

function isSame(one: string, other: string): boolean {
  return one === other || parseIp(withoutZone(one))?.join() === parseIp(withoutZone(other))?.join()
}

function withoutZone(address: string): string {
  return address.split('%', 1)[0] ?? ''
}

function close(socket: ReturnType<typeof createSocket>): void {
  try {
    socket.close()
  } catch {
    // It had failed and is closed.
  }
}
