/** A Worker that somebody writes in a project of their own: the packages come from npm, the code and the configuration from the README. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FROM, message, send } from '../../apps/cloudflare/test/sending.ts'
import { parseJsonc, wranglerEnvironment } from '../../apps/cloudflare/test/wrangler.ts'
import { Daemon } from '../kit/daemon.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { freePort } from '../kit/port.ts'
import { mustRun } from '../kit/tool.ts'
import { checkedKept, folderOf, idIn, type Kept } from '../peers/store.ts'
import { LONG_MS, makeProject, type Project } from './project.ts'
import { ROOT } from './workspace.ts'

/** The binding, which is also the name of the local bucket, because the configuration names none. */
const BUCKET = 'MY_MAIL'

const scratch = temporaryDirectory()
let project: Project
let wrangler: Daemon
let smtp: number
let http: number

beforeAll(async () => {
  project = await makeProject(scratch)
  const readme = await readFile(inProject('node_modules/@postern/worker/README.md'), 'utf8')
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const configuration = /```jsonc\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(10)
  smtp = await freePort()
  http = await freePort()
  const config = parseJsonc(configuration)
  expect(config).toMatchObject({ r2_buckets: [{ binding: BUCKET }], connect: [{ port: 2526 }] })
  const own = { ...config, connect: [{ protocol: 'tcp', port: smtp, address: '127.0.0.1' }] }
  await mkdir(inProject('src'))
  await writeFile(inProject('src/index.js'), code)
  await writeFile(inProject('wrangler.jsonc'), JSON.stringify(own))
  const flags = ['--ip', '127.0.0.1', '--port', String(http), '--persist-to', join(scratch, 'state')]
  wrangler = await Daemon.start(
    ['wrangler', 'dev', '--config', inProject('wrangler.jsonc'), ...flags],
    /Ready on/,
    // A group of its own, because wrangler is a script that starts the program.
    { env: wranglerEnvironment(), isGroup: true },
  )
}, LONG_MS)
afterAll(async () => {
  await wrangler?.[Symbol.asyncDispose]()
  project?.close()
})

/** Returns a path in the project that has nothing but the packages. */
function inProject(path: string): string {
  return join(project.directory, path)
}

/** Asks wrangler for what is in the local bucket. It knows nothing of Postern. */
async function askBucket(path = ''): Promise<Response> {
  const api = `http://127.0.0.1:${http}/cdn-cgi/local/explorer/api/r2/buckets/${BUCKET}/objects`
  const response = await fetch(api + path)
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response
}

async function keysInBucket(): Promise<string[]> {
  const { result } = (await (await askBucket()).json()) as { result: { key: string }[] }
  return result.map(({ key }) => key).toSorted()
}

async function readBucket(id: string): Promise<Kept> {
  const object = (end: string): Promise<Response> => askBucket(`/${encodeURIComponent(`${folderOf(id)}/${id}.${end}`)}`)
  const stored = await (await object('eml')).arrayBuffer()
  return checkedKept(id, await (await object('json')).text(), Buffer.from(stored))
}

function route(raw: Buffer, to: string): Promise<Response> {
  const query = new URLSearchParams({ from: FROM, to }).toString()
  return fetch(`http://127.0.0.1:${http}/cdn-cgi/handler/email?${query}`, { method: 'POST', body: new Uint8Array(raw) })
}

describe("the README's Worker in wrangler dev", () => {
  test('stores a message that comes by TCP in its own bucket, byte for byte', async () => {
    const raw = message()
    const { record, bytes, trace } = await readBucket(await send(smtp, raw))
    expect(bytes.equals(raw)).toBe(true)
    expect(record.reversePath.address).toBe(FROM)
    expect(trace).toContain('by mx.example.com with ESMTP')
  })

  test('stores a message of Email Routing in its own bucket, byte for byte', async () => {
    const raw = message()
    const before = await keysInBucket()
    expect((await route(raw, 'bob@example.com')).status).toBe(200)
    const key = (await keysInBucket()).find((name) => !before.includes(name))
    const { record, bytes } = await readBucket(idIn(key ?? ''))
    expect(bytes.equals(raw)).toBe(true)
    expect(record.session.remote.family).toBe('unknown')
  })

  test('refuses a recipient with 550 by its own hook, and other domains by its settings', async () => {
    const before = await keysInBucket()
    await expect(send(smtp, message(), { to: 'spam@example.com' })).rejects.toThrow(/550 5\.1\.1 No such user/)
    await expect(send(smtp, message(), { to: 'bob@elsewhere.example' })).rejects.toThrow(/550 5\.7\.1/)
    const refused = await route(message(), 'spam@example.com')
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('5.1.1 No such user')])
    expect(await keysInBucket()).toEqual(before)
  })
})

test('a Worker in TypeScript fits the types that `wrangler types` makes, strict and with library checks', async () => {
  const folder = inProject('typed')
  await mkdir(folder)
  await writeFile(
    join(folder, 'index.ts'),
    `import { reply } from '@postern/engine'
import { createReceiver, createWorker } from '@postern/worker'
import { bindingEntrypoint } from '@postern/worker/entrypoints'
import { disk, DiskObject } from '@postern/worker/disk'
import { relayObject, sendOn } from '@postern/worker/relay'

interface Bindings extends Env {
  readonly USERS: KVNamespace
  readonly QUEUE: DurableObjectNamespace
}

const receiver = createReceiver<Bindings>({
  bucket: (env) => env.MY_MAIL,
  settings: { hostname: 'mx.example.com', domains: ['example.com'], keepCount: 1000 },
  sendOn: sendOn({ object: (env) => env.QUEUE, settings: { relay: 'smtps://smtp.example.net', relayMaxDeliveries: 2 } }),
  handlers: ({ USERS }) => ({
    rcpt: async (to) => ((await USERS.get(to.localPart)) === null ? reply(550, '5.1.1', 'No such user') : undefined),
  }),
})

export default createWorker(receiver) satisfies ExportedHandler<Bindings>
export const Postern = bindingEntrypoint(receiver)
export const MailQueue = relayObject(receiver)
export class Disk extends DiskObject<Bindings> {
  async keepUp() {}
}
export type Bound = Service<typeof Postern>
void (async (env: Bindings) => {
  const queue = env.QUEUE.getByName('queue') as DurableObjectStub<InstanceType<typeof MailQueue>>
  const { entries }: { readonly entries: number } = await queue.stats()
  return entries
})
void disk
// @ts-expect-error The option has another name.
createWorker<Bindings>({ bukket: (env) => env.MY_MAIL })
// @ts-expect-error The binding is not a bucket.
createWorker<Bindings>({ bucket: (env) => env.USERS })
// @ts-expect-error There is no such setting.
sendOn<Bindings>({ settings: { smarthost: 'smtps://smtp.example.net' } })
`,
  )
  const bucket = { r2_buckets: [{ binding: BUCKET }], compatibility_date: '2026-11-01' }
  await writeFile(join(folder, 'wrangler.json'), JSON.stringify({ name: 'typed', main: 'index.ts', ...bucket }))
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    target: 'es2024',
    lib: ['es2024'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  await mustRun('wrangler', ['types'], { env: wranglerEnvironment(), cwd: folder })
  await mustRun('tsc', ['-p', folder])
})

describe('the template', () => {
  test('names the version of the packages, and wrangler deploys it with a bucket that it has to create', async () => {
    const template = inProject('template')
    await cp(join(ROOT, 'apps/cloudflare/template'), template, { recursive: true })
    const { dependencies } = JSON.parse(await readFile(join(template, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    for (const [name, version] of Object.entries(dependencies)) {
      const installed = await readFile(inProject(`node_modules/${name}/package.json`), 'utf8')
      expect([name, version]).toEqual([name, (JSON.parse(installed) as { version: string }).version])
    }
    const options = { env: wranglerEnvironment(), cwd: template }
    const { stdout } = await mustRun('wrangler', ['deploy', '--dry-run'], options)
    expect(stdout.toString()).toMatch(/env\.MAIL +R2 Bucket/)
    expect(parseJsonc(await readFile(join(template, 'wrangler.jsonc'), 'utf8'))).toMatchObject({
      r2_buckets: [{ binding: 'MAIL' }],
    })
  })
})
