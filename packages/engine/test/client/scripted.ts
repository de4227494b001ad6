/** A server that a test writes as data, for the client's side of a connection in memory. */
import type { Duplex } from '@postern/engine'
import { pair, type PairOptions } from '@postern/runtime/memory'

const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** What the server does next: it sends a text; waits until all it has received since the last wait ends with a text; or acts. */
export type Step =
  | string
  | { readonly waitFor: string }
  | { readonly act: 'end' | 'destroy' | 'startTls' }
  /** Reads nothing more. */
  | { readonly sleep: true }
  /** Sends the text again and again until the client leaves, with a pause after each if `slowly` is set. */
  | { readonly endlessly: string; readonly slowly?: true }

export interface Scripted {
  /** The client's end. */
  readonly duplex: Duplex
  /** Resolves with all that the client sent, when the client has left and the script is over. */
  readonly received: Promise<string>
}

/** Plays a script, then reads until the client leaves. */
export function scripted(steps: readonly Step[], options: PairOptions = {}): Scripted {
  const [duplex, server] = pair({ lingerMs: 1, ...options })
  return { duplex, received: play(server, steps) }
}

async function play(server: Duplex, steps: readonly Step[]): Promise<string> {
  let received = ''
  let seen = 0
  async function read(): Promise<boolean> {
    const bytes = await server.read()
    if (bytes === null) return false
    received += decoder.decode(bytes)
    return true
  }
  try {
    for (const step of steps) {
      if (typeof step === 'string') {
        await server.write(encoder.encode(step))
      } else if ('waitFor' in step) {
        while (!received.includes(step.waitFor, seen)) if (!(await read())) return received
        seen = received.indexOf(step.waitFor, seen) + step.waitFor.length
      } else if ('sleep' in step) {
        await new Promise<void>((resolve) => server.whenClosed?.(resolve))
      } else if ('endlessly' in step) {
        for (;;) {
          await server.write(encoder.encode(step.endlessly))
          if (step.slowly) await new Promise((resolve) => void setTimeout(resolve, 1))
        }
      } else if (step.act === 'startTls') {
        await server.startTls?.()
      } else if (step.act === 'end') {
        void server.end()
      } else {
        server.destroy()
      }
    }
    while (await read());
  } catch {
    // The client has left, or the script ended the connection.
  }
  server.destroy()
  return received
}
