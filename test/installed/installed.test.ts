/** What is published can be installed, and works from plain JavaScript on each runtime. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join, resolve } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, test as every } from 'vitest'
import { partly } from '../kit/partly.ts'
import { COMMANDS } from '../kit/commands.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { Daemon } from '../kit/daemon.ts'
import { startDnsServer } from '../kit/dns-server.ts'
import { sample } from '../kit/sample.ts'
import { findPnpm, mustRun, runTool } from '../kit/tool.ts'
import { tarballOf } from '../release/pack.ts'
import { readManifest } from '../release/packages.ts'
import { filesIn, LONG_MS, makeProject, type Project } from './project.ts'
import { kept, NODE_22, RUNTIMES, sendOne, start } from './running.ts'
import { copyWorkspace, ROOT } from './workspace.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)

/** The commands that start the program, as its README has them; and bunx, which runs it on Node. */
const PROGRAMS: readonly string[] = [
  'npx postern',
  'bunx --bun postern',
  'bunx postern',
  'deno run -A npm:@postern/server',
]
/** `@postern/…` packages are ES modules with `exports`: what only reads `main`, or only CommonJS, is not meant to find them. */
const NOT_MEANT = { resolutions: ['node10'], problems: ['CJSResolvesToESM'] }

const scratch = temporaryDirectory()
let project: Project

beforeAll(async () => {
  project = await makeProject(scratch)
}, LONG_MS)

afterAll(() => project?.close())

/** Returns the folder of an installed package. */
const installed = (name: string): string => join(project.directory, 'node_modules', name)

/** Returns a new folder in which the packages are found. */
function below(name: string): string {
  const folder = join(project.directory, name.toLowerCase().replaceAll(' ', '-'))
  mkdirSync(folder)
  return folder
}

/** Returns the path of a user's shell: it has each runtime, and nothing of the workspace. */
function userPath(): string {
  const bin = join(scratch, 'bin')
  if (!existsSync(bin)) {
    mkdirSync(bin)
    // The program itself. The script that pnpm puts into the path does not know whether it is called bun or bunx.
    const bun = join(dirname(createRequire(import.meta.url).resolve('bun/package.json')), 'bin/bun.exe')
    const runtimes = { node: process.execPath, deno: COMMANDS.deno[0], bun, bunx: bun }
    for (const [name, file] of Object.entries(runtimes)) symlinkSync(file, join(bin, name))
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return [bin, ...folders].join(delimiter)
}

describe('each tarball', () => {
  test('holds built files, their types and sources, and nothing of the workspace', () => {
    const license = readFileSync(join(ROOT, 'LICENSE'), 'utf8')
    expect(project.packages.length).toBeGreaterThan(4)
    for (const { manifest } of project.packages) {
      const folder = installed(manifest.name)
      const files = filesIn(folder).filter((file) => !file.startsWith('node_modules/'))
      expect(
        files.filter((file) => !/^((dist|src)\/.*|\w+\.[jt]s|LICENSE|README\.md|package\.json)$/.test(file)),
      ).toEqual([])
      expect(files.filter((file) => /test|Dockerfile|toml|tsbuildinfo/.test(file))).toEqual([])
      expect(readFileSync(join(folder, 'LICENSE'), 'utf8')).toBe(license)
      for (const file of files.filter((name) => /^dist\/.*\.js$/.test(name))) {
        expect(files).toContain(file.replace(/\.js$/, '.d.ts'))
        for (const map of [`${file}.map`, file.replace(/\.js$/, '.d.ts.map')]) {
          const { sources } = JSON.parse(readFileSync(join(folder, map), 'utf8')) as { sources: string[] }
          for (const source of sources) expect(existsSync(resolve(folder, dirname(map), source)), map).toBe(true)
        }
      }
      const published = readManifest(join(folder, 'package.json'))
      expect(published).toMatchObject({ license: 'MIT', engines: { node: '>=22.12' }, keywords: expect.any(Array) })
      for (const field of ['scripts', 'devDependencies']) expect(published).not.toHaveProperty(field)
      expect(JSON.stringify(published)).not.toMatch(/workspace:|"\.\/src/)
    }
  })

  test('is the same from pnpm and from npm', { timeout: LONG_MS }, async () => {
    const tarballs = join(scratch, 'pnpm')
    const workspace = join(scratch, 'workspace')
    copyWorkspace(workspace)
    const packages = sample(project.packages, 1, 3)
    const filters = packages.flatMap(({ folder }) => ['--filter', `./${folder}`])
    await mustRun(await findPnpm(), ['--recursive', ...filters, 'pack', '--pack-destination', tarballs], {
      cwd: workspace,
      timeoutMs: LONG_MS,
    })
    for (const each of packages) {
      const [npms, pnpms] = await Promise.all(
        [project.tarballs, tarballs].map(async (from) => {
          const folder = join(scratch, `unpacked-${from === tarballs ? 'pnpm' : 'npm'}`, each.folder)
          mkdirSync(folder, { recursive: true })
          await mustRun('tar', ['-xzf', tarballOf(from, each), '-C', folder])
          return Object.fromEntries(filesIn(folder).map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
        }),
      )
      expect(pnpms).toEqual(npms)
      // pnpm leaves no published form behind. project.ts checks npm.
      const path = join(each.folder, 'package.json')
      expect(readFileSync(join(workspace, path), 'utf8')).toBe(readFileSync(join(ROOT, path), 'utf8'))
    }
  })

  test('has the exports and types that publint and Are the Types Wrong ask for', { timeout: LONG_MS }, async () => {
    for (const each of sample(project.packages, 2, 5)) {
      const bytes = readFileSync(tarballOf(project.tarballs, each))
      const tarball = new Uint8Array(bytes).buffer
      const { messages } = await publint({ pack: { tarball }, strict: true })
      expect(messages, each.folder).toEqual([])
      const result = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)))
      const problems = result.types === false ? ['it has no types'] : result.problems
      const meant = problems.filter(
        (problem) =>
          typeof problem === 'string' ||
          !(
            ('resolutionKind' in problem && NOT_MEANT.resolutions.includes(problem.resolutionKind)) ||
            NOT_MEANT.problems.includes(problem.kind)
          ),
      )
      expect(meant, each.folder).toEqual([])
    }
  })
})

describe('the program of the README, as plain JavaScript', () => {
  const [, program = ''] =
    /## In your own program\s+```[jt]s\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? []

  test.each(sample(Object.keys(RUNTIMES), 1, 1))(
    'accepts mail and keeps its bytes on %s',
    { timeout: LONG_MS },
    async (name) => {
      const { command, module } = RUNTIMES[name] as (typeof RUNTIMES)[string]
      const cwd = below(name)
      const source = program
        .replace('@postern/runtime/node', `@postern/runtime/${module}`)
        .replace(
          'await listen(server, { port: 2525 })',
          `const { address } = await listen(server, { port: 0, host: '127.0.0.1' })`,
        )
      writeFileSync(join(cwd, 'program.js'), `${source}\nconsole.log('port ' + address.port + '.')\n`)
      await using server = await start([...command, 'program.js'], { cwd, env: project.env }, /port (\d+)\./)
      const text = await sendOne(server.port, { address: 'd@elsewhere.example', code: 550 })
      expect(await kept(join(cwd, 'mail'))).toBe(text)
    },
  )
})

describe('the program in the README of', () => {
  test.each(sample(['engine', 'runtime', 'storage', 'intake'], 2, 4))(
    '@postern/%s accepts mail',
    { timeout: LONG_MS },
    async (name) => {
      const cwd = below(`readme-${name}`)
      const readme = readFileSync(join(installed(`@postern/${name}`), 'README.md'), 'utf8')
      const source = (/```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '').replace(
        'await listen(server, { port: 2525',
        `const { address } = await listen(server, { port: 0, host: '127.0.0.1'`,
      )
      writeFileSync(join(cwd, 'program.js'), `${source}\nconsole.log('port ' + address.port + '.')\n`)
      await using server = await start([process.execPath, 'program.js'], { cwd, env: project.env }, /port (\d+)\./)
      await sendOne(server.port)
    },
  )
})

test.each(sample(Object.keys(RUNTIMES), 1, 6))(
  'the installed client sends to the installed server by STARTTLS on %s',
  { timeout: LONG_MS },
  async (name) => {
    const { command, module } = RUNTIMES[name] as (typeof RUNTIMES)[string]
    const [program, ...args] = command
    const cwd = below(`client ${name}`)
    writeFileSync(
      join(cwd, 'program.js'),
      `import { createServer } from '@postern/engine'
      import { connect, listen, selfSigned } from '@postern/runtime/${module}'

      const server = createServer({
        hostname: 'mx.example.com',
        async data(message, { tls }) {
          console.log(tls !== undefined, new TextDecoder().decode(await message.bytes()).trim())
        },
      })
      const tls = await selfSigned()
      const { address } = await listen(server, { host: '127.0.0.1', port: 0, tls })
      const client = await connect('smtp+starttls://127.0.0.1:' + address.port, { tls: { ca: tls.cert } })
      const { recipients } = await client.send(
        { reversePath: 'ann@example.com', forwardPaths: ['bob@example.com'] },
        'Subject: Hello\\r\\n\\r\\nHello\\r\\n',
      )
      console.log(recipients.map(({ address, isAccepted }) => address + ' ' + isAccepted).join())
      await client.quit()
      process.exit(0)`,
    )
    const { stdout } = await mustRun(program, [...args, 'program.js'], { cwd, env: project.env, timeoutMs: LONG_MS })
    expect(stdout.toString().replaceAll('\r\n', '|')).toBe('true Subject: Hello||Hello\nbob@example.com true\n')
  },
)

test('the program in the README of @postern/dns tells exchangers and a name', { timeout: LONG_MS }, async () => {
  await using server = await startDnsServer(({ type, name }) => {
    const ttl = 60
    if (type === 'MX') return { answers: [{ type, name, ttl, data: { preference: 10, exchange: 'mx.example.com' } }] }
    if (type === 'PTR') return { answers: [{ type, name, ttl, data: 'mail.example.com' }] }
    return { answers: [{ type: 'A', name, ttl, data: '192.0.2.1' }] }
  })
  const cwd = below('readme-dns')
  const readme = readFileSync(join(installed('@postern/dns'), 'README.md'), 'utf8')
  const source = (/```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '')
    .replace('{ systemUpstreams }', '{ udpUpstream }')
    .replace('await systemUpstreams()', `{ upstreams: [udpUpstream({ address: '127.0.0.1', port: ${server.port} })] }`)
  writeFileSync(join(cwd, 'program.js'), source)
  const { stdout } = await mustRun(process.execPath, ['program.js'], { cwd, env: project.env, timeoutMs: LONG_MS })
  expect(stdout.toString()).toBe(
    `[ { preference: 10, exchange: 'mx.example.com' } ]\n{ result: 'pass', name: 'mail.example.com' }\n`,
  )
})

test(
  'the program in the README of @postern/relay queues a message and settles an attempt',
  { timeout: LONG_MS },
  async () => {
    const cwd = below('readme-relay')
    const readme = readFileSync(join(installed('@postern/relay'), 'README.md'), 'utf8')
    writeFileSync(join(cwd, 'program.js'), /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '')
    const { stdout } = await mustRun(process.execPath, ['program.js'], { cwd, env: project.env, timeoutMs: LONG_MS })
    expect(stdout.toString()).toBe('come back later\n')
  },
)

test('the program in the README of @postern/relay signs a message', { timeout: LONG_MS }, async () => {
  const cwd = below('readme-signing')
  const readme = readFileSync(join(installed('@postern/relay'), 'README.md'), 'utf8')
  writeFileSync(join(cwd, 'program.js'), /## Signing\n\n```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '')
  writeFileSync(join(cwd, 'message.eml'), 'From: ann@example.com\r\n\r\nHello.\r\n')
  const { stdout } = await mustRun(process.execPath, ['program.js'], { cwd, env: project.env, timeoutMs: LONG_MS })
  expect(stdout.toString()).toMatch(
    /^dec2026\._domainkey\.example\.com\. IN TXT "v=DKIM1; k=ed25519; p=\S{44}"\nDKIM-Signature: [\s\S]+\r\nFrom: ann@example\.com\r\n\r\nHello\.\r\n$/,
  )
})

test('the config file in the README of @postern/server refuses mail', { timeout: LONG_MS }, async () => {
  const cwd = below('readme-server')
  const readme = readFileSync(join(installed('@postern/server'), 'README.md'), 'utf8')
  writeFileSync(join(cwd, 'postern.config.mjs'), /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '')
  const serve = ['npx', 'postern', 'serve', '--listen', 'smtp://127.0.0.1:0', '--store', 'fs:./mail'] as const
  await using server = await start(serve, { cwd, env: project.env }, /smtp:\/\/127\.0\.0\.1:(\d+)/)
  const text = await sendOne(server.port, { address: 'spam@example.com', code: 550 })
  expect(await kept(join(cwd, 'mail'))).toBe(text)
})

describe('an inbox of @postern/testing, as plain JavaScript', () => {
  const program = `import { testInbox } from '@postern/testing'
const inbox = await testInbox({ tls: 'starttls' })
console.log('port ' + inbox.port + '.')
const { subject, envelope, source } = await inbox.waitFor({ to: 'c@example.com', timeoutMs: ${LONG_MS} })
console.log('message ' + JSON.stringify({ subject, envelope, source }))
`

  test.each(sample(Object.keys(RUNTIMES), 1, 2))(
    'shows a message that comes on %s',
    { timeout: LONG_MS },
    async (name) => {
      const { command } = RUNTIMES[name] as (typeof RUNTIMES)[string]
      const cwd = below(`inbox-${name}`)
      writeFileSync(join(cwd, 'program.js'), program)
      await using daemon = await Daemon.start([...command, 'program.js'], /port \d+\./, { cwd, env: project.env })
      const [, port] = await daemon.says(/port (\d+)\./)
      const source = await sendOne(Number(port))
      const [, message = ''] = await daemon.says(/message (.*)\n/)
      const envelope = { from: 'a@b.example', to: ['c@example.com'] }
      expect(JSON.parse(message)).toEqual({ subject: 'installed', envelope, source })
    },
  )
})

describe('postern, installed', () => {
  test.each(sample(PROGRAMS, 1))(
    'takes a message, and lists it as it prints, started by %s',
    { timeout: LONG_MS },
    async (program) => {
      const cwd = below(program.replaceAll(/[/:@]/g, '-'))
      const env = { ...project.env, PATH: userPath() }
      const serve = `exec ${program} serve --listen smtp://127.0.0.1:0 --domains example.com`
      await using server = await start(['sh', '-c', serve], { cwd, env }, /smtp:\/\/127\.0\.0\.1:(\d+)[\s\S]*Ctrl-C/)
      const text = await sendOne(server.port, { address: 'd@elsewhere.example', code: 550 })
      expect(await kept(join(cwd, 'mail'))).toBe(text)
      expect(server.listCommand).toBe(`${program} list`)
      const { stdout } = await mustRun('sh', ['-c', server.listCommand], { cwd, env, timeoutMs: LONG_MS })
      expect(stdout.toString()).toMatch(/<a@b\.example> +<c@example\.com>/)
    },
  )

  test.each(['20.19.0', '22.11.0'])('says on Node %s in one line what it needs, and ends with 2', async (version) => {
    // Node does not let a program change `process.versions.node` itself.
    const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
    for (const main of [join(installed('@postern/server'), 'main.js'), join(ROOT, 'apps/server/main.js')]) {
      const { code, stdout, stderr } = await runTool(process.execPath, [
        '--import',
        `data:text/javascript,${older}`,
        main,
      ])
      expect({ code, stdout: stdout.toString(), stderr }).toEqual({
        code: 2,
        stdout: '',
        stderr: `postern needs Node.js 22.12 or newer; this is Node.js ${version}\n`,
      })
    }
  })

  test('serves with two workers on Node 22', { timeout: LONG_MS }, async () => {
    const cwd = below('workers')
    const bin = join(project.directory, 'node_modules/.bin/postern')
    const serve = ['serve', '--listen', 'smtp://127.0.0.1:0', '--workers', '2']
    await using server = await start([NODE_22, bin, ...serve], { cwd, env: project.env }, /smtp:\/\/127\.0\.0\.1:(\d+)/)
    const text = await sendOne(server.port)
    expect(await kept(join(cwd, 'mail'))).toBe(text)
  })
})
