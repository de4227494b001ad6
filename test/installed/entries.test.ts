/** Every entry point of the packages, as they are published: its types, and that it loads from plain JavaScript on each runtime. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../kit/directory.ts'
import { sample } from '../kit/sample.ts'
import { mustRun, runTool } from '../kit/tool.ts'
import { readManifest } from '../release/packages.ts'
import { LONG_MS, makeProject, type Project } from './project.ts'
import { RUNTIMES } from './running.ts'

/** Only for a Worker's own types, which clash with those of Node: worker.test.ts checks them. */
const ONLY_IN_WORKERS = ['@postern/worker/disk', '@postern/worker/entrypoints', '@postern/worker/relay']
/** They import modules that only workerd has. worker.test.ts runs them. */
const ONLY_ON_WORKERD = [...ONLY_IN_WORKERS, '@postern/worker', '@postern/runtime/cloudflare']

let project: Project

beforeAll(async () => {
  project = await makeProject(temporaryDirectory())
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

/** Returns what a program can import, by the published package.json of each package. */
function entryPoints(): string[] {
  return project.packages.flatMap(({ manifest: { name } }) => {
    const paths = Object.keys(readManifest(join(installed(name), 'package.json'))['exports'] as object)
    return paths.map((path) => join(name, path))
  })
}

test(
  'every entry point has types that pass in strict mode, with those of all libraries checked',
  { timeout: LONG_MS },
  async () => {
    const folder = below('types')
    const imports = entryPoints().filter((path) => !ONLY_IN_WORKERS.includes(path))
    expect(imports).toContain('@postern/runtime/cloudflare')
    const lines = imports.map((path, index) => `import * as m${index} from '${path}'\nvoid m${index}`)
    writeFileSync(join(folder, 'all.ts'), lines.join('\n'))
    const use = `import { createServer } from '@postern/engine'\nconst port: string = createServer({ hostname: 'a' })\nvoid port\n`
    writeFileSync(join(folder, 'wrong.ts'), use)
    const options = { strict: true, skipLibCheck: false, noEmit: true, module: 'NodeNext', target: 'ES2024' }
    const config = { compilerOptions: { ...options, types: ['node'] }, files: ['all.ts', 'wrong.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const { stdout } = await runTool('tsc', ['-p', folder, '--pretty', 'false'], { timeoutMs: LONG_MS })
    // The one error shows that the types were found.
    expect(stdout.toString().trim().split('\n')).toEqual([
      expect.stringMatching(/wrong\.ts\(2,7\): error TS2322: Type 'Server'/),
    ])
  },
)

test.each(sample(Object.keys(RUNTIMES), 1, 3))(
  'every entry point has what it exports, as plain JavaScript on %s',
  { timeout: LONG_MS },
  async (name) => {
    const { command } = RUNTIMES[name] as (typeof RUNTIMES)[string]
    const imports = entryPoints().filter((path) => !ONLY_ON_WORKERD.includes(path))
    expect(imports).toContain('@postern/engine/codes')
    const lines = imports.map((path) => `counts['${path}'] = Object.keys(await import('${path}')).length`)
    const codes = `import { reply } from '@postern/engine'
import { ENHANCED_CODE, REPLY_CODE } from '@postern/engine/codes'
const { wire } = reply(REPLY_CODE.mailboxUnavailable, '5.' + ENHANCED_CODE.badDestinationMailbox, 'Nobody')`
    const source = [codes, 'const counts = {}', ...lines, 'console.log(JSON.stringify({ wire, counts }))']
    const cwd = below(`entries-${name}`)
    writeFileSync(join(cwd, 'program.js'), source.join('\n'))
    const [file, ...args] = command
    const { stdout } = await mustRun(file, [...args, 'program.js'], { cwd, env: project.env, timeoutMs: LONG_MS })
    const { wire, counts } = JSON.parse(stdout.toString()) as { wire: string; counts: Record<string, number> }
    expect(wire).toBe('550 5.1.1 Nobody\r\n')
    expect(Object.keys(counts)).toEqual(imports)
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([])
  },
)
