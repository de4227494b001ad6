/** The contract of resolvers inside each runtime, against one server. */
import { resolve } from 'node:path'
import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dnsRows } from '../../../test/contracts/dns/dns.ts'
import { script } from '../../../test/contracts/dns/scenes.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { type DnsServer, startDnsServer } from '../../../test/kit/dns-server.ts'
import { runTool } from '../../../test/kit/tool.ts'
import { outcomesOf, testSuites } from '../../runtime/test/program.ts'
import { bundle, COMPATIBILITY_DATE } from '../../runtime/test/workerd/serving.ts'

const PATIENCE_MS = 300_000

const server: Promise<DnsServer> = startDnsServer(script)

async function place(): Promise<string> {
  const { port, url } = await server
  return JSON.stringify({ port, url })
}

async function outcomesInWorkerd(): Promise<Outcome[]> {
  const contents = await bundle(resolve(import.meta.dirname, 'contract-worker.ts'))
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'resolver',
          compatibilityDate: COMPATIBILITY_DATE,
          manifest: { mainModule: 'worker.js', modulesRoot: '/', modules: { 'worker.js': { type: 'esm', contents } } },
        },
      },
    ],
  })
  try {
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: await place() })
    return (await answer.json()) as Outcome[]
  } finally {
    await miniflare.dispose()
  }
}

beforeAll(async () => void (await server))
afterAll(async () => (await server)[Symbol.asyncDispose]())

testSuites([
  ...(['node', 'deno', 'bun'] as const).map((runtime) => ({
    suite: 'dns',
    runtime,
    rows: dnsRows(['UDP', 'HTTPS']),
    run: async () =>
      outcomesOf(
        [...COMMANDS[runtime], resolve(import.meta.dirname, 'contract-program.ts'), await place()],
        PATIENCE_MS,
      ),
  })),
  { suite: 'dns', runtime: 'workerd', rows: dnsRows(['HTTPS']), run: outcomesInWorkerd },
])

test('Deno without the permission for a socket gets a failure', async () => {
  const source = `import { createResolver } from '${resolve(import.meta.dirname, '../src/index.ts')}'
    import { udpUpstream } from '${resolve(import.meta.dirname, '../src/sockets/index.ts')}'
    const upstreams = ['127.0.0.1', '::1'].map((address) => udpUpstream({ address, port: 53 }))
    console.log((await createResolver({ upstreams }).resolve('a.example', 'A')).reason)`
  const [deno] = COMMANDS.deno
  const { stdout, stderr } = await runTool(deno, ['run', '--no-prompt', '--allow-read', '--ext=ts', '-'], {
    input: source,
  })
  expect([stdout.toString(), stderr]).toEqual(['unreachable\n', ''])
})
