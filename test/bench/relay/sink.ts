/** A server that takes messages, counts them and drops them. It is in this process, on the core of the load generator. */
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { createServer } from '@postern/engine'
import { listen } from '@postern/runtime/node'
import { CAN_PIN, CORES } from '../programs.ts'

export interface Sink {
  readonly port: number
  /** The messages since the start, or since it was set. */
  taken: number
}

export async function startSink(): Promise<Sink> {
  const server = createServer({
    hostname: 'sink.example.com',
    async data(message) {
      for (;;) if ((await message.read()) === null) break
      sink.taken++
      return undefined
    },
  })
  const { address } = await listen(server, { host: '127.0.0.1', port: 0 })
  const sink: Sink = { port: address.port, taken: 0 }
  if (CAN_PIN) execFileSync('taskset', ['-a', '-p', '-c', String(CORES.load), String(process.pid)])
  return sink
}
