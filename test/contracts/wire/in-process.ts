/** Plays vectors over pairs of Duplex in memory, with the engine and its client in one process, on any runtime. */
import { createServer, type Endpoint, type Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { emptyRecord, overridesOf, type Profile, type Record, recordingServer } from '../../conformance/recorder.ts'
import { DuplexClient } from '../../kit/client/duplex-client.ts'
import type { Stage } from '../../conformance/vector.ts'

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
    void this.#server(profile).accept(near, overridesOf(profile))
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
