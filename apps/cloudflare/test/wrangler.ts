/** `wrangler dev` with the deployed Worker, except for ports, secrets and users. A second Worker is bound to it. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment } from '../../../test/kit/postern.ts'
import { FRONT_SECRET, READ_TOKEN } from './reading.ts'
import { freePort } from '../../../test/kit/port.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { Scratch } from '../../../test/kit/scratch.ts'

const APP = join(import.meta.dirname, '..')

export interface Wrangler extends AsyncDisposable {
  readonly smtp: number
  /** The port of the other Worker. Its connections are passed on by the service binding, with a peer. */
  readonly gate: number
  /** The same, passed on by `connect`. */
  readonly plain: number
  readonly http: number
  readonly running: Daemon
}

/** @param vars Other settings of the Worker */
export async function startWrangler(vars: Readonly<Record<string, string>> = {}): Promise<Wrangler> {
  const scratch = await Scratch.make()
  const [smtp, gate, plain, http] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const config = parseJsonc(await readFile(join(APP, 'wrangler.jsonc'), 'utf8'))
  const listen = (port: number): object => ({ protocol: 'tcp', port, address: '127.0.0.1' })
  await writeFile(
    scratch.join('postern.jsonc'),
    JSON.stringify({
      ...config,
      main: join(APP, 'src/worker.ts'),
      alias: { './policy.ts': join(APP, 'test/policy.ts') },
      vars: {
        ...(config['vars'] as object),
        POSTERN_MAX_MESSAGE_BYTES: 12_000_000,
        POSTERN_KEEP_COUNT: 3,
        POSTERN_READ_TOKEN: READ_TOKEN,
        POSTERN_FRONT_SECRET: FRONT_SECRET,
        ...vars,
      },
      connect: [listen(smtp)],
    }),
  )
  await writeFile(
    scratch.join('gate.jsonc'),
    JSON.stringify({
      name: 'gate',
      main: join(APP, 'test/gate.ts'),
      compatibility_date: config['compatibility_date'],
      services: [
        { binding: 'POSTERN', service: config['name'], entrypoint: 'Postern' },
        { binding: 'PLAIN', service: config['name'] },
      ],
      vars: { PLAIN_PORT: plain },
      connect: [listen(gate), listen(plain)],
    }),
  )
  const configs = ['-c', scratch.join('postern.jsonc'), '-c', scratch.join('gate.jsonc')]
  const flags = ['--ip', '127.0.0.1', '--port', String(http), '--persist-to', scratch.join('state')]
  const running = await Daemon.start(['wrangler', 'dev', ...configs, ...flags], /Ready on http/, {
    env: wranglerEnvironment(),
    isGroup: true,
  })
  return {
    smtp,
    gate,
    plain,
    http,
    running,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** Returns an environment in which wrangler sends no requests to Cloudflare, because they would only delay it. */
export function wranglerEnvironment(): NodeJS.ProcessEnv {
  return { ...cleanEnvironment(), CI: '1', WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' }
}

/** Parses JSON with comments on their own lines, and with trailing commas. */
export function parseJsonc(text: string): Record<string, unknown> {
  return JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, '').replaceAll(/,(?=\s*[}\]])/g, '')) as Record<string, unknown>
}
