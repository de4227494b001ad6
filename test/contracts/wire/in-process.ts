/** Plays vectors over pairs of Duplex in memory, with the engine and its client in one process, on any runtime. */
import { createServer, type Duplex, type Endpoint, type Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { emptyRecord, type Profile, type Record, recordingServer } from '../../conformance/recorder.ts'
import { within } from '../../kit/waiting.ts'
import { type ClientReply, readReply } from '../../conformance/reply.ts'
import type { Seat, Stage } from '../../conformance/vector.ts'

const lingerMs = 500
const SERVER: Endpoint = { family: 'unknown', address: '', port: 25 }

/** Servers by profile, each with the records of its clients. */
export class InProcess implements Stage {
  readonly #servers = new Map<string, Server>()
  readonly #records = new WeakMap<Endpoint, Record>()

  async seat(profile: Profile, before: readonly string[]): Promise<{ client: DuplexClient; record: Record }> {
    const remote: Endpoint = { family: 'unknown', address: '', port: 0 }
    const record = emptyRecord()
    this.#records.set(remote, record)
    const startTls = profile.withoutCertificate !== true
    const [near, far] = pair({ lingerMs, startTls, endpoints: [SERVER, remote] })
    if (profile.implicitTls === true) await Promise.all([near.startTls?.(), far.startTls?.()])
    void this.#server(profile).accept(near)
    const client = new DuplexClient(far)
    for (const line of ['', ...before]) {
      if (line !== '') await client.sendPieces([`${line}\r\n`])
      const { code, raw } = await client.reply()
      if (code >= 400) throw new Error(`${JSON.stringify(line)}: ${raw}`)
    }
    return { client, record }
  }

  #server(profile: Profile): Server {
    const key = JSON.stringify(profile)
    let server = this.#servers.get(key)
    if (server === undefined) {
      server = createServer(recordingServer(profile, ({ remote }) => this.#records.get(remote) as Record))
      this.#servers.set(key, server)
    }
    return server
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('latin1')

/** An SMTP client that sends exactly the bytes it is given. */
export class DuplexClient implements Seat {
  /** The received bytes that were not read as a reply. */
  unread = ''
  readonly #duplex: Duplex

  constructor(duplex: Duplex) {
    this.#duplex = duplex
  }

  async sendPieces(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? encoder.encode(piece) : piece.slice()
      try {
        await this.#duplex.write(bytes)
      } catch {
        // Ignores a server that closes during the write. Its last reply counts.
        return
      }
    }
  }

  reply(): Promise<ClientReply> {
    return readReply((before) => this.#line(before))
  }

  async repliesToEnd(): Promise<ClientReply[]> {
    const replies: ClientReply[] = []
    while (this.unread !== '' || (await this.#receive())) replies.push(await this.reply())
    return replies
  }

  close(): void {
    this.#duplex.destroy()
  }

  async #line(before: string): Promise<string> {
    while (!this.unread.includes('\n')) {
      if (await this.#receive()) continue
      throw new Error(`the connection ended where a reply was to come, after ${JSON.stringify(before + this.unread)}`)
    }
    const end = this.unread.indexOf('\n') + 1
    const line = this.unread.slice(0, end)
    this.unread = this.unread.slice(end)
    if (!line.endsWith('\r\n')) throw new Error(`a reply line without CRLF: ${JSON.stringify(line)}`)
    return line.slice(0, -2)
  }

  /** Returns whether bytes came instead of the end. */
  async #receive(): Promise<boolean> {
    const answer = this.#duplex.read()
    const bytes = answer instanceof Promise ? await within(answer, 'a read') : answer
    if (bytes !== null) this.unread += decoder.decode(bytes)
    return bytes !== null
  }
}
