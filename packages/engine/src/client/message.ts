/** The bytes of an outgoing message, whatever the caller gave. */
import type { MessageFacts } from '../protocol/client/plan.ts'

export type OutgoingMessage =
  | Uint8Array
  | string
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>

const LF = 10
const CR = 13
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Returns a message that is known as a whole; undefined for a stream. */
export function wholeMessage(message: OutgoingMessage): Uint8Array | undefined {
  if (typeof message === 'string') return encoder.encode(message)
  return message instanceof Uint8Array ? message : undefined
}

/** Returns the chunks of a stream. */
export async function* chunksOf(message: OutgoingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  const whole = wholeMessage(message)
  if (whole !== undefined) {
    yield whole
  } else if (message instanceof ReadableStream) {
    // Some runtimes have streams that are not iterable.
    const reader = message.getReader()
    let isDone = false
    try {
      for (;;) {
        const { done, value } = await reader.read()
        isDone = done
        if (done) return
        yield value
      }
    } finally {
      if (!isDone) void reader.cancel().catch(() => {})
      reader.releaseLock()
    }
  } else {
    yield* message as AsyncIterable<Uint8Array>
  }
}

/** Looks at a message that is known as a whole. */
export function factsOf(bytes: Uint8Array): Required<MessageFacts> {
  const first8Bit = bytes.findIndex((octet) => octet > 127)
  const has8Bit = first8Bit >= 0
  const headerEnd = has8Bit ? endOfHeader(bytes) : 0
  return { octets: bytes.length, has8Bit, hasUtf8Header: first8Bit < headerEnd && isUtf8(bytes.subarray(0, headerEnd)) }
}

/** Returns where the first empty line begins. */
function endOfHeader(bytes: Uint8Array): number {
  let start = 0
  for (;;) {
    if (bytes[start] === LF || (bytes[start] === CR && bytes[start + 1] === LF)) return start
    const lf = bytes.indexOf(LF, start)
    if (lf < 0) return bytes.length
    start = lf + 1
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}
