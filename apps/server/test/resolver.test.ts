/** The DNS servers of /etc/resolv.conf while the program runs: which are asked after a change, and what the log says. */
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { runTool } from '../../../test/kit/tool.ts'

/** Follows two changes, each seen twice. Prints in JSON what is logged, and then the server that is asked. */
const PROGRAM = `
  import { follow } from '${resolve(import.meta.dirname, '../src/serve/resolver.ts')}'
  const print = (...parts) => console.log(JSON.stringify(parts))
  const servers = [1, 2, 3].map((host) => ({ upstreams: [{ url: 'udp://192.0.2.' + host + ':53' }] }))
  const log = { info: (...event) => print('info', ...event), warn: (...event) => print('warn', ...event) }
  let now = 0
  const current = follow(async () => servers[now], servers[0], log)
  for (now of [0, 1, 1, 2, 2]) print((await current()).upstreams[0].url)
`

const [ONE, TWO, THREE] = [1, 2, 3].map((host) => `udp://192.0.2.${host}:53`)

async function printed([file, ...args]: readonly [string, ...string[]]): Promise<unknown[]> {
  const { stdout, stderr } = await runTool(file, args, { input: PROGRAM })
  expect(stderr).toBe('')
  const lines = stdout.toString().trim().split('\n')
  return lines.map((line) => JSON.parse(line) as unknown)
}

test('other servers of /etc/resolv.conf are asked from then on, and logged once', async () => {
  expect(await printed([process.execPath, '--input-type=module', '-'])).toEqual([
    [ONE],
    ['info', '/etc/resolv.conf has changed', { servers: [TWO] }],
    [TWO],
    [TWO],
    ['info', '/etc/resolv.conf has changed', { servers: [THREE] }],
    [THREE],
    [THREE],
  ])
})

test('servers of /etc/resolv.conf that Deno does not allow to ask are not asked', async () => {
  const net = '--allow-net=192.0.2.1:53,192.0.2.3:53,0.0.0.0:0'
  const flags = ['--no-prompt', '--allow-read', '--allow-env', '--allow-sys', net, '--ext=ts', '-']
  const reason = 'Deno does not allow to connect to 192.0.2.2:53'
  expect(await printed([COMMANDS.deno[0], 'run', ...flags])).toEqual([
    [ONE],
    ['warn', '/etc/resolv.conf has changed, and its servers cannot be asked', { servers: [TWO], reason }],
    [ONE],
    [ONE],
    ['info', '/etc/resolv.conf has changed', { servers: [THREE] }],
    [THREE],
    [THREE],
  ])
})
