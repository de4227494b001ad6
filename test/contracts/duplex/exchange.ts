/** Assertions and helpers for the checks of the contract, without a test runner and for any runtime. */
import type { Duplex } from '@postern/engine'
import { sleep, TooLate, within } from '../../kit/waiting.ts'

export const MiB = 1_048_576
/** Turns of the event loop in which bytes cross the loopback. */
const CROSSING_TURNS = 20
const TURN_MS = 5

export function ensure(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise)
}

export function same(actual: Uint8Array, expected: Uint8Array): void {
  ensure(actual.byteLength === expected.byteLength, `${actual.byteLength} bytes, not ${expected.byteLength}`)
  const at = actual.findIndex((byte, index) => byte !== expected[index])
  ensure(at === -1, `byte ${at} differs`)
}

export async function rejects(promise: unknown, what: string): Promise<Error> {
  ensure(promise instanceof Promise, `${what} did not answer with a promise`)
  try {
    await within(promise as Promise<unknown>, what)
  } catch (error) {
    ensure(!(error instanceof TooLate), `${what} stayed pending`)
    return error as Error
  }
  throw new Error(`${what} did not reject`)
}

/**
 * Waits while bytes cross the loopback.
 *
 * It counts turns of the event loop. The runtime polls its sockets in each turn. A single timer could expire after one turn if another
 * program used the processor meanwhile.
 */
export async function crossing(): Promise<void> {
  for (let turn = 0; turn < CROSSING_TURNS; turn++) await sleep(TURN_MS)
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The longest pattern so far of each seed. Checks make the same long patterns for every kind of connection. */
const patterns = new Map<number, Uint8Array<ArrayBuffer>>()

/** Returns bytes that do not repeat at the length of any buffer. The caller owns them. */
export function pattern(byteLength: number, seed = 0): Uint8Array<ArrayBuffer> {
  let bytes = patterns.get(seed)
  if (bytes === undefined || bytes.byteLength < byteLength) {
    bytes = new Uint8Array(byteLength)
    for (let i = 0; i < byteLength; i++) bytes[i] = i * 31 + (i >>> 8) + (i >>> 16) + seed
    patterns.set(seed, bytes)
  }
  return bytes.slice(0, byteLength)
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).join()
}

export async function read(duplex: Duplex): Promise<Uint8Array | null> {
  return within(Promise.resolve(duplex.read()), 'read')
}

/** Reads so many bytes. Copies them, because a view is valid only until the next read. */
export async function readBytes(duplex: Duplex, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(byteLength)
  for (let at = 0; at < byteLength;) {
    const answer = duplex.read()
    const chunk = answer instanceof Promise ? await within(answer, 'read') : answer
    ensure(chunk !== null, `the end after ${at} of ${byteLength} bytes`)
    bytes.set(chunk as Uint8Array, at)
    at += (chunk as Uint8Array).byteLength
  }
  return bytes
}

export async function readAll(duplex: Duplex): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array(65_536)
  for (let length = 0; ;) {
    const answer = duplex.read()
    const chunk = answer instanceof Promise ? await within(answer, 'read') : answer
    if (chunk === null) return bytes.slice(0, length)
    if (length + chunk.byteLength > bytes.byteLength) {
      const larger = new Uint8Array(2 * (length + chunk.byteLength))
      larger.set(bytes)
      bytes = larger
    }
    bytes.set(chunk, length)
    length += chunk.byteLength
  }
}

export async function writeAll(duplex: Duplex, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += 65_536) {
    const waiting = duplex.write(bytes.slice(at, at + 65_536))
    if (waiting !== undefined) await within(waiting, 'write')
  }
}

/** Writes until a write stays pending, and returns that one. Waits for a write that is only slow on a busy machine. */
export async function fill(duplex: Duplex): Promise<{ written: number; waiting: Promise<void> }> {
  for (let written = 65_536; written < 256 * MiB; written += 65_536) {
    const waiting = duplex.write(new Uint8Array(65_536))
    if (waiting === undefined) continue
    // The caller awaits it later.
    waiting.catch(() => {})
    const done = waiting.then(() => true)
    let isDone = false
    for (let waits = 0; waits < 5 && !isDone; waits++) {
      isDone = await Promise.race([done, crossing().then(() => false)])
    }
    if (!isDone) return { written, waiting }
  }
  throw new Error('no write ever waited')
}

/** Writes until a write fails, because the peer is gone. Returns without a failure if the connection takes what nobody will read. */
export async function knock(duplex: Duplex): Promise<void> {
  for (let knocks = 0; knocks < 5; knocks++) {
    await crossing()
    try {
      const waiting = duplex.write(ascii('x'))
      if (waiting !== undefined) await within(waiting, 'write')
    } catch (error) {
      ensure(!(error instanceof TooLate), 'write stayed pending')
      return
    }
  }
}

/** Registers a listener for the close of the connection. */
export function listen(duplex: Duplex): { readonly closed: Promise<void>; timesTold(): number } {
  ensure(duplex.whenClosed !== undefined, 'there is no whenClosed')
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  let told = 0
  duplex.whenClosed?.(() => {
    told++
    resolve()
  })
  return { closed, timesTold: () => told }
}
