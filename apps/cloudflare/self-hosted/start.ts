/**
 * Runs the Worker on this machine in workerd, with STARTTLS and implicit TLS, and mail on the disk.
 *
 *     node apps/cloudflare/self-hosted/start.ts --directory ./mail-workerd --hostname mx.example.com --domains example.com
 *
 * It bundles the Worker, creates a certificate if none is given, writes workerd's configuration, starts workerd, and ends when workerd
 * ends. It prints one line for each socket, with name and address, and then `ready`. Secrets come from the environment
 * (POSTERN_FRONT_SECRET, POSTERN_READ_TOKEN, POSTERN_RELAY), and so may every other setting of the Worker. It writes none of them to disk.
 *
 * A server's STARTTLS is experimental in workerd, so workerd is started with --experimental.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { createServer } from '@postern/engine'
import { selfSigned } from '@postern/runtime/tls'
import { build, type Plugin, stop } from 'esbuild'
import { isRelaySetting, readRelaySettings } from '@postern/worker/relay/settings'
import { readSettings } from '@postern/worker/settings'
import { capnpConfig } from './config.ts'
import { NODE_BUFFER } from './node-buffer.ts'

const APP = resolve(import.meta.dirname, '..')
const ENTRY = join(import.meta.dirname, 'worker.ts')
/** How long mail in progress may take to finish. */
const GRACE_MS = 30_000

const USAGE = `node apps/cloudflare/self-hosted/start.ts [options]
  --directory <path>   where mail is kept (default: ./mail-workerd)
  --policy <file>      your own hooks and users, in the form of src/policy.ts (default: that file)
  --smtp <host:port>   SMTP with STARTTLS (default: 127.0.0.1:2525)
  --smtps <host:port>  implicit TLS (default: 127.0.0.1:4465)
  --http <host:port>   /health, /pipe and /mail (default: 127.0.0.1:8080)
  --tls-key <file>     PEM (default: a certificate is created for this run)
  --tls-cert <file>    PEM, with its chain
  --accounts <file>    POSTERN_ACCOUNTS: an accounts.json that postern user made (default: every address of the domains)
  --relay-ca <file>    authorities that are trusted for the smarthost of POSTERN_RELAY, PEM (default: those of browsers)
  --hostname <name>    POSTERN_HOSTNAME (default: localhost)
  --domains <list>     POSTERN_DOMAINS (default: the host name)
`

const values = readOptions()

if (values.help) process.stdout.write(USAGE)
else await start().catch(misused)

function readOptions() {
  try {
    return parseArgs({
      options: {
        directory: { type: 'string', default: './mail-workerd' },
        policy: { type: 'string' },
        smtp: { type: 'string', default: '127.0.0.1:2525' },
        smtps: { type: 'string', default: '127.0.0.1:4465' },
        http: { type: 'string', default: '127.0.0.1:8080' },
        'tls-key': { type: 'string' },
        'tls-cert': { type: 'string' },
        accounts: { type: 'string' },
        'relay-ca': { type: 'string' },
        hostname: { type: 'string', default: process.env['POSTERN_HOSTNAME'] ?? 'localhost' },
        domains: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return misused(error)
  }
}

/** Writes one line, and ends the process. */
function misused(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exit(2)
}

async function start(): Promise<void> {
  const { hostname } = values
  const domains = values.domains ?? process.env['POSTERN_DOMAINS'] ?? hostname
  const accounts = values.accounts === undefined ? undefined : readText('--accounts', values.accounts)
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    POSTERN_HOSTNAME: hostname,
    ...(accounts !== undefined && { POSTERN_ACCOUNTS: accounts }),
    // Accounts have their own domains.
    ...((accounts === undefined || values.domains !== undefined) && { POSTERN_DOMAINS: domains }),
  }
  checkSettings(environment)
  const pair = await keyPair(hostname)
  const relayCa = values['relay-ca'] === undefined ? undefined : readText('--relay-ca', values['relay-ca'], 'PEM file')
  const worker = await bundle()
  const directory = resolve(values.directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const variables = Object.keys(environment).filter((name) => /^POSTERN_[A-Z0-9_]+$/.test(name))
  // There is no `await` from here until the signal handlers are set. So no signal can end this process and leave the key on disk.
  const work = mkdtempSync(join(tmpdir(), 'postern-workerd-'))
  const remove = (): void => rmSync(work, { recursive: true, force: true })
  try {
    writeFileSync(join(work, 'key.pem'), pair.key, { mode: 0o600 })
    writeFileSync(join(work, 'cert.pem'), pair.cert)
    writeFileSync(join(work, 'worker.js'), worker)
    if (relayCa !== undefined) writeFileSync(join(work, 'relay-ca.pem'), relayCa)
    const { smtp, smtps, http } = values
    const options = { directory, smtp, smtps, http, hasRelayCa: relayCa !== undefined, variables }
    writeFileSync(join(work, 'config.capnp'), capnpConfig(options))
    // The files can be removed once workerd has read them.
    process.exitCode = await serve(join(work, 'config.capnp'), environment, remove)
  } finally {
    remove()
  }
}

/** Checks the settings now. The Worker would do it only at its first connection. @throws OptionError */
function checkSettings(environment: NodeJS.ProcessEnv): void {
  const settings = readSettings(environment, {}, isRelaySetting)
  const { hostname, limits, directory } = settings
  createServer({ hostname, limits })
  // A policy of the user's may have users that are not accounts, so the Worker checks that at its first connection.
  readRelaySettings(environment, {}, { ...settings, hasUsers: directory !== undefined || values.policy !== undefined })
}

async function keyPair(hostname: string): Promise<{ key: string; cert: string }> {
  const { 'tls-key': keyFile, 'tls-cert': certFile } = values
  if (keyFile === undefined && certFile === undefined) {
    return selfSigned({ hosts: [...new Set([hostname, 'localhost', '127.0.0.1', '::1'])] })
  }
  if (keyFile === undefined || certFile === undefined) throw new Error('--tls-key and --tls-cert: give both, or none')
  return { key: readText('--tls-key', keyFile, 'PEM file'), cert: readText('--tls-cert', certFile, 'PEM file') }
}

function readText(name: string, path: string, kind: string = 'file'): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Error(`${name} ${path}: can't be read; name a ${kind}`, { cause })
  }
}

/** Bundles the Worker into one file. Only workerd's own modules are not in it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
    // So a policy from another directory can import the engine too.
    nodePaths: [join(APP, 'node_modules')],
    plugins: [NODE_BUFFER, ...(values.policy === undefined ? [] : [policyFrom(resolve(values.policy))])],
  })
  await stop()
  return outputFiles[0]?.text ?? ''
}

/** Replaces src/policy.ts by another file. */
function policyFrom(path: string): Plugin {
  return {
    name: 'policy',
    setup(build) {
      build.onResolve({ filter: /^\.\.\/src\/policy\.ts$/ }, ({ importer }) =>
        importer === ENTRY ? { path } : undefined,
      )
    },
  }
}

/**
 * Runs workerd until it ends. After SIGTERM, workerd accepts no more connections and waits for the existing ones. After `GRACE_MS`, or
 * after a second signal, it is killed; answered messages are on disk then. @returns its exit code
 */
function serve(config: string, env: NodeJS.ProcessEnv, ready: () => void): Promise<number> {
  const workerd = createRequire(import.meta.url).resolve('workerd/bin/workerd')
  const child = spawn(workerd, ['serve', '--experimental', '--control-fd=3', config], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  })
  announce(child, ready)
  let cut: NodeJS.Timeout | undefined
  const stop = (): void => {
    child.kill(cut === undefined ? 'SIGTERM' : 'SIGKILL')
    cut ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
  return new Promise<number>((done, failed) => {
    child.once('error', failed)
    child.once('exit', (code) => done(code ?? (cut === undefined ? 1 : 0)))
  }).finally(() => clearTimeout(cut))
}

/** Prints each socket when workerd reports that it listens on it. workerd writes one JSON object a line. */
function announce(child: ChildProcess, ready: () => void): void {
  const waited = new Set(['smtp', 'smtps', 'http'])
  const hosts: Readonly<Record<string, string>> = { smtp: values.smtp, smtps: values.smtps, http: values.http }
  let text = ''
  const control = child.stdio[3] as Readable
  control.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
      const event = JSON.parse(text.slice(0, end)) as { event: string; socket?: string; port?: number }
      text = text.slice(end + 1)
      if (event.event !== 'listen' || event.socket === undefined || !waited.delete(event.socket)) continue
      console.log(`${event.socket} ${hosts[event.socket]?.replace(/:\d+$/, '')}:${event.port}`)
      if (waited.size > 0) continue
      ready()
      console.log('ready')
    }
  })
}
