/** The Worker as a target: in raw workerd, and in `wrangler dev`. */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { keptIds, READ_TOKEN, readKept } from '../../apps/cloudflare/test/reading.ts'
import { Daemon } from '../kit/daemon.ts'
import { parseJsonc, wranglerEnvironment } from '../../apps/cloudflare/test/wrangler.ts'
import { freePort } from '../kit/port.ts'
import { cleanEnvironment } from '../kit/postern.ts'
import { makeCertificate } from '../peers/served.ts'
import { Scratch } from '../kit/scratch.ts'
import type { Gaps, Target } from '../contracts/wire/target.ts'

const APP = resolve(import.meta.dirname, '../../apps/cloudflare')

export const WORKERD_GAPS: Gaps = {
  'graceful stop':
    'workerd does not tell a Worker that it stops: it lets mail in progress finish, and idle clients get no reply',
}
export const WRANGLER_GAPS: Gaps = {
  STARTTLS: 'wrangler dev gives a Worker no TLS, so the Worker cannot offer STARTTLS',
  'implicit TLS': 'wrangler dev has no option for it',
  'graceful stop': 'wrangler dev ends its Workers at once',
}

const LIMITS = { POSTERN_MAX_CONNECTIONS: '2000', POSTERN_MAX_CONNECTIONS_PER_ADDRESS: '2000' }

/** `self-hosted/start.ts`, with mail on its disk. */
export async function workerdTarget(gaps: Gaps): Promise<Target> {
  const scratch = await Scratch.make()
  const { keyFile, caFile } = await makeCertificate(scratch)
  const addresses = ['smtp', 'smtps', 'http'].map((name) => `--${name}=127.0.0.1:0`)
  const tls = [`--tls-key=${keyFile}`, `--tls-cert=${caFile}`]
  const names = [
    '--hostname=mx.postern.example',
    '--domains=*',
    `--policy=${resolve(import.meta.dirname, 'policy.ts')}`,
  ]
  const running = await Daemon.start(
    [
      'node',
      resolve(APP, 'self-hosted/start.ts'),
      `--directory=${scratch.join('mail')}`,
      ...addresses,
      ...tls,
      ...names,
    ],
    /^ready$/m,
    { env: cleanEnvironment({ ...LIMITS, POSTERN_READ_TOKEN: READ_TOKEN }), isGroup: true },
  )
  const port = (name: string): number => Number(new RegExp(`^${name} .*:(\\d+)$`, 'm').exec(running.output)?.[1])
  return {
    smtp: port('smtp'),
    smtps: port('smtps'),
    caFile,
    gaps,
    kept: (id) => readKept(port('http'), id),
    ids: () => keptIds(port('http')),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** `wrangler dev` with the deployed configuration, except for ports and vars. Mail is in its R2. */
export async function wranglerTarget(gaps: Gaps): Promise<Target> {
  const scratch = await Scratch.make()
  const { caFile } = await makeCertificate(scratch)
  const [smtp, http] = [await freePort(), await freePort()]
  const config = parseJsonc(await readFile(resolve(APP, 'wrangler.jsonc'), 'utf8'))
  const vars = {
    POSTERN_HOSTNAME: 'mx.postern.example',
    POSTERN_DOMAINS: '*',
    POSTERN_READ_TOKEN: READ_TOKEN,
    ...LIMITS,
  }
  const file = scratch.join('wrangler.json')
  const connect = [{ protocol: 'tcp', port: smtp, address: '127.0.0.1' }]
  await writeFile(file, JSON.stringify({ ...config, main: resolve(APP, 'src/worker.ts'), vars, connect }))
  const options = ['--config', file, '--port', String(http), '--ip', '127.0.0.1', '--persist-to', scratch.join('state')]
  const running = await Daemon.start(['wrangler', 'dev', ...options], /Ready on/, {
    env: wranglerEnvironment(),
    isGroup: true,
  })
  return {
    smtp,
    smtps: 0,
    caFile,
    gaps,
    kept: (id) => readKept(http, id),
    ids: () => keptIds(http),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}
