/** Changes a resolv.conf in each way, on a clock of its own, and prints the servers after each: `node`, `deno run -A` or `bun run`, with the file. */
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { systemUpstreams } from '../src/sockets/index.ts'

const file = process.argv[2] ?? ''
let now = 0
const { refresh } = await systemUpstreams(file, () => now)

async function after(what: string, ms: number, change: () => void = () => {}): Promise<void> {
  change()
  now += ms
  const { upstreams, attempts } = await refresh()
  console.log(`${what}: ${upstreams.map(({ url }) => url).join(' ')}, ${attempts} attempts`)
}

const write = (text: string) => (): void => writeFileSync(file, text)
const replace = (text: string) => (): void => {
  const next = `${file}.new`
  writeFileSync(next, text)
  utimesSync(next, 1, 1)
  renameSync(next, file)
}

await after('too early', 4_999, write('nameserver 192.0.2.22'))
await after('other size', 1)
await after('empty', 5_000, write(''))
await after('half', 5_000, write('name'))
await after('whole', 5_000, write('nameserver 192.0.2.3\noptions attempts:4'))
await after('gone', 5_000, () => rmSync(file))
await after('back', 5_000, write('nameserver 192.0.2.4'))
await after('replaced', 5_000, replace('nameserver 192.0.2.5'))
await after('other inode alone', 5_000, replace('nameserver 192.0.2.6'))
await after('other time alone', 5_000, () => {
  writeFileSync(file, 'nameserver 192.0.2.7')
  utimesSync(file, 2, 2)
})
