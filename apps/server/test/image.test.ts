/**
 * The image and its deployment name only versions, packages, options and ports that exist. The health check reports the
 * real state.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readSettings } from '../src/config/settings.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { kept, sendOne, start } from '../../../test/installed/running.ts'
import { cleanEnvironment, run, serve } from '../../../test/kit/postern.ts'
import { chance, sample } from '../../../test/kit/sample.ts'
import { findPnpm, runTool } from '../../../test/kit/tool.ts'
import { buildImage } from './image.ts'

const root = join(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}
const manifest = (folder: string): Manifest => JSON.parse(read(join(folder, 'package.json'))) as Manifest

/** The folder of a package of this workspace and of those that it needs. */
function folders(folder: string): string[] {
  const own = Object.keys(manifest(folder).dependencies ?? {}).filter((name) => name.startsWith('@postern/'))
  return [...new Set([folder, ...own.flatMap((name) => folders(`packages/${name.slice('@postern/'.length)}`))])]
}

describe('Dockerfile', () => {
  const dockerfile = read('apps/server/Dockerfile')
  const ignored = read('.dockerignore').split('\n')

  test('has the Node that the workspace pins', () => {
    expect(/^ARG NODE_VERSION=(.*)$/m.exec(dockerfile)?.[1]).toBe(manifest('.').devDependencies?.['node'])
  })

  test('copies the server and every package that it needs, and names no missing file', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--)(.*) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '))
    for (const folder of folders('apps/server')) {
      expect(copied).toContain(`${folder}/package.json`)
      expect(copied).toContain(folder)
      expect(ignored).toContain(`!${folder}`)
    }
    for (const source of copied) expect(existsSync(join(root, source)), source).toBe(true)
  })

  test('runs without rights, and its variables are options', async () => {
    expect(/^USER (.*)$/m.exec(dockerfile)?.[1]).toBe('node')
    const env = Object.fromEntries(
      [...dockerfile.matchAll(/(POSTERN_\w+)="?([^"\s]+)"?/g)].map(([, name, value]) => [name, value]),
    )
    const { options } = await readSettings({}, env as Record<string, string>)
    expect(options).toMatchObject({
      store: { path: '/var/lib/postern' },
      queue: { url: '/var/lib/postern/queue' },
      logFormat: 'json',
    })
    expect(dockerfile).toContain('VOLUME ["/var/lib/postern"]')
    expect(dockerfile).toMatch(new RegExp(`^EXPOSE .*\\b${options.listen[0]?.port}\\b`, 'm'))
  })
})

describe('fly.toml', () => {
  const toml = read('apps/server/fly.toml')
  const env = Object.fromEntries(
    [...toml.matchAll(/^ *(POSTERN_\w+) = "(.*)"$/gm)].map(([, name, value]) => [name, value]),
  )

  test('listens on the ports of its services, each with the PROXY protocol', async () => {
    const { options } = await readSettings({}, env as Record<string, string>)
    const inner = [...toml.matchAll(/^ *internal_port = (\d+)$/gm)].map(([, port]) => Number(port))
    expect(options.listen.map(({ port }) => port)).toEqual(inner)
    const outer = [
      ...toml.matchAll(/port = (\d+)\n *handlers = \["proxy_proto"\]\n *proxy_proto_options = \{ version = "v2" \}/g),
    ]
    expect(outer.map(([, port]) => Number(port))).toEqual([25, 587, 465])
    expect(options.proxyFrom).toEqual(['172.16.0.0/12'])
  })

  test("gives mail in progress the grace time, and has the server's limit of connections", async () => {
    const { options } = await readSettings({}, env as Record<string, string>)
    expect(Number(/^kill_timeout = (\d+)$/m.exec(toml)?.[1]) * 1_000).toBeGreaterThan(options.graceMs)
    expect([...toml.matchAll(/hard_limit = (\d+)/g)].map(([, limit]) => Number(limit))).toEqual(
      Array(3).fill(options.maxConnections),
    )
  })
})

describe('health', () => {
  const health = (env: Record<string, string>): Promise<{ code: number | null; stderr: string }> =>
    run(process.execPath, [join(root, 'apps/server/health.ts')], { env })

  test.each([[[]], [['--proxy-from', 'all']]])(
    'reports smtp and smtps with %j as healthy while it serves',
    async (flags) => {
      const schemes = ['smtp', 'smtps']
      const listens = schemes.flatMap((scheme) => ['--listen', `${scheme}://127.0.0.1:0`])
      const server = await serve(['--store', 'memory:', ...listens, '--self-signed', ...flags])
      const reports = (): ReturnType<typeof health>[] =>
        schemes.map((scheme, index) =>
          health({
            POSTERN_LISTEN: `${scheme}://127.0.0.1:${server.ports[index]} smtp://127.0.0.1:1`,
            POSTERN_PROXY_FROM: flags.at(-1) ?? '',
          }),
        )
      for (const report of reports()) expect(await report).toMatchObject({ code: 0, stderr: '' })
      server.signal('SIGTERM')
      await server.ended
      for (const report of reports()) {
        const { code, stderr } = await report
        expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('ECONNREFUSED') })
      }
    },
  )

  test('checks a Unix socket', async () => {
    const url = `smtp+unix:${join(temporaryDirectory(), 'socket')}`
    await serve(['--store', 'memory:', '--listen', url])
    expect(await health({ POSTERN_LISTEN: url })).toMatchObject({ code: 0 })
  })

  test('reports a server that closes or refuses as not healthy', async () => {
    const port = async (answer: string): Promise<number> => {
      const other = createServer((socket) => socket.end(answer)).listen(0, '127.0.0.1')
      onTestFinished(() => void other.close())
      await once(other, 'listening')
      const address = other.address()
      return typeof address === 'object' ? (address?.port ?? 0) : 0
    }
    const closing = await health({ POSTERN_LISTEN: `smtp://127.0.0.1:${await port('')}` })
    expect(closing).toMatchObject({ code: 1, stderr: expect.stringContaining('closed without a greeting') })
    const full = await health({ POSTERN_LISTEN: `smtp://127.0.0.1:${await port('421 4.7.0 Too many\r\n')}` })
    expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining('421 4.7.0') })
    expect(await health({ POSTERN_LISTEN: 'nonsense' })).toMatchObject({ code: 1 })
  })
})

// It takes 14 seconds of a core, so one run in three makes it.
test.each(sample(['the steps of the Dockerfile'], chance(26).below(3) === 0 ? 1 : 0))(
  '%s make a server that takes a message and is healthy',
  { timeout: 600_000 },
  async () => {
    const scratch = temporaryDirectory()
    const bin = join(scratch, 'bin')
    mkdirSync(bin)
    // The image installs it from the registry.
    symlinkSync(await findPnpm(), join(bin, 'pnpm'))
    const env = cleanEnvironment({ CI: '1' })
    env['PATH'] = `${bin}:${env['PATH']}`
    const dockerfile = read('apps/server/Dockerfile')
      // The user and its home are the image's.
      .replace(' && chown node:node /var/lib/postern', '')
    const image = await buildImage({ context: root, dockerfile, scratch, env, given: /^npm install --global pnpm@/ })

    const server = join(image.root, 'app/apps/server')
    expect(existsSync(join(server, 'dist/main.js'))).toBe(true)
    expect(existsSync(join(server, 'test'))).toBe(false)
    const own = { ...env, ...image.env, POSTERN_LISTEN: 'smtp://127.0.0.1:0' }
    const [file = '', ...args] = [...image.entrypoint, ...image.command]
    await using running = await start([file, ...args], { cwd: image.root, env: own }, /smtp:\/\/127\.0\.0\.1:(\d+)/)
    const text = await sendOne(running.port)
    expect(await kept(join(image.root, 'var/lib/postern'))).toBe(text)
    const [checker = '', ...checked] = image.healthcheck
    const health = await runTool(checker, checked, {
      env: { ...own, POSTERN_LISTEN: `smtp://127.0.0.1:${running.port}` },
    })
    expect({ code: health.code, stderr: health.stderr }).toEqual({ code: 0, stderr: '' })
  },
)
