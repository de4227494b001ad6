/** Shared by the tests of sockets: a server that keeps its connections, and helpers for clients. */
import type { Duplex } from '@postern/engine'
import { type Acceptor, selfSigned, type SelfSignedCertificate } from '../src/node/index.ts'

export const certificate: SelfSignedCertificate = await selfSigned()

/** A server that keeps accepted connections until the test takes them. */
export class Hall implements Acceptor {
  readonly #waiting: ((duplex: Duplex) => void)[] = []
  readonly accepted: Duplex[] = []

  accept(duplex: Duplex): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.accepted.push(duplex)
    else waiting(duplex)
  }

  next(): Promise<Duplex> {
    const duplex = this.accepted.shift()
    if (duplex !== undefined) return Promise.resolve(duplex)
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }
}

/** Sends back all bytes until the end. */
export const echo: Acceptor = {
  async accept(duplex) {
    try {
      for (let bytes = await duplex.read(); bytes !== null; bytes = await duplex.read()) await duplex.write(bytes)
      await duplex.end()
    } catch {
      duplex.destroy()
    }
  },
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export async function readText(duplex: Duplex): Promise<string | null> {
  const bytes = await duplex.read()
  return bytes && new TextDecoder().decode(bytes)
}

/** Checks that the connection works: sends bytes and reads them back. */
export async function hears(duplex: Duplex, text: string): Promise<boolean> {
  await duplex.write(ascii(text))
  return (await readText(duplex)) === text
}

/** Counts the open sockets and listeners of this process. */
export function openHandles(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(TCP|TLS|Pipe).*Wrap$/.test(name)).length
}
