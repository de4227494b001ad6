/**
 * Measures our client beside nodemailer on each runtime: `node test/bench/client/main.ts [RUNTIME…]`. Both send to our server in
 * another process, which drops the messages. What is printed goes into docs/performance.md.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { createServer } from '@postern/engine'
import { listen } from '@postern/runtime/node'
import type { Cost } from './sender.ts'

const COMMANDS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: [process.execPath],
  deno: ['deno', 'run', '--allow-all', '--no-lock'],
  bun: ['bun'],
}
/** What the server does not offer: nothing, or chunks. */
const OFFERS: Readonly<Record<string, readonly string[]>> = {
  'PIPELINING and CHUNKING': [],
  PIPELINING: ['CHUNKING', 'BINARYMIME'],
}
const SENDER = join(import.meta.dirname, 'sender.ts')

async function serve(disabled: readonly string[]): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer({
    hostname: 'mx.example.com',
    disabled,
    limits: { maxMessageBytes: 2 ** 30 },
    async data(message) {
      for await (const _bytes of message.body);
    },
  })
  const listener = await listen(server, { port: 0, host: '127.0.0.1' })
  return { port: listener.address.port, close: () => listener.close() }
}

function rowOf(name: string, offer: string, ours: Cost, theirs: Cost): string {
  const isLarge = ours.bytes > 1_000_000
  const speed = ({ messagesPerSecond, bytes }: Cost): string =>
    isLarge ? `${((messagesPerSecond * bytes) / 1e6).toFixed(0)} MB/s` : `${messagesPerSecond.toFixed(0)}/s`
  const cpu = ({ cpuMicrosPerMessage, bytes }: Cost): string =>
    isLarge
      ? `${((cpuMicrosPerMessage / bytes) * 1_000).toFixed(2)} s for a GB`
      : `${cpuMicrosPerMessage.toFixed(0)} µs`
  return `| ${name} | ${offer} | ${ours.load} | ${speed(ours)} | ${speed(theirs)} | ${cpu(ours)} | ${cpu(theirs)} |`
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(COMMANDS)
console.log('| Runtime | The server offers | Load | Ours | nodemailer | CPU of ours | CPU of nodemailer |')
console.log('| --- | --- | --- | --: | --: | --: | --: |')
for (const name of names) {
  const [command, ...flags] = COMMANDS[name] ?? [name]
  for (const [offer, disabled] of Object.entries(OFFERS)) {
    const sink = await serve(disabled)
    const { stdout } = await promisify(execFile)(command, [...flags, SENDER, String(sink.port)])
    const costs = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Cost)
    for (let at = 0; at + 1 < costs.length; at += 2) {
      console.log(rowOf(name, offer, costs[at] as Cost, costs[at + 1] as Cost))
    }
    await sink.close()
  }
}
