/** Asks a server over TCP (RFC 7766): a query and its answer, each after its length in two octets. */
import { connect } from 'node:net'
import { failed } from '../answer.ts'
import { answersQuestion, decodeResponse, encodeQuery, MAX_MESSAGE_BYTES, type Question } from '../message/codec.ts'
import type { AskOptions, Reply } from '../upstream.ts'
import type { ServerAddress } from './datagram.ts'

const LENGTH_BYTES = 2
const ID_VALUES = 65_536

export function askOverTcp({ address, port }: ServerAddress, question: Question, options: AskOptions): Promise<Reply> {
  const { signal, timeoutMs, isExtended } = options
  const { promise, resolve } = Promise.withResolvers<Reply>()
  const id = (crypto.getRandomValues(new Uint16Array(1))[0] ?? 0) % ID_VALUES
  const query = encodeQuery(id, question, options)
  const malformed = (): void => resolve(failed('malformed', 'the server sends what is no answer'))
  const aborted = (): void => resolve(failed('aborted', 'nobody waits for the answer'))
  const timer = setTimeout(() => resolve(failed('timeout', 'no answer in time')), timeoutMs)
  signal.addEventListener('abort', aborted)
  const answer = new Uint8Array(LENGTH_BYTES + MAX_MESSAGE_BYTES)
  let received = 0
  const socket = connect(port, address)
  socket.on('connect', () => socket.write(framed(query)))
  socket.on('error', () => resolve(failed('unreachable', 'the server cannot be reached over TCP')))
  socket.on('close', () => resolve(failed('unreachable', 'the server closed the connection')))
  socket.on('data', (chunk: Uint8Array) => {
    // What follows the answer is dropped.
    const taken = chunk.subarray(0, answer.length - received)
    answer.set(taken, received)
    received += taken.length
    if (received < LENGTH_BYTES) return
    const length = ((answer[0] ?? 0) << 8) | (answer[1] ?? 0)
    if (length > MAX_MESSAGE_BYTES) return malformed()
    if (received < LENGTH_BYTES + length) return
    const message = decodeResponse(answer.subarray(LENGTH_BYTES, LENGTH_BYTES + length))
    if (message?.id !== id || message.isTruncated || !answersQuestion(message, question, isExtended)) return malformed()
    resolve({ status: 'answered', message, ageSeconds: 0 })
  })
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
    socket.destroy()
  })
}

/** Puts the length in front. Both are written at once, because some servers read them at once. */
function framed(query: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + query.length)
  bytes[0] = query.length >> 8
  bytes[1] = query.length & 255
  bytes.set(query, LENGTH_BYTES)
  return bytes
}
