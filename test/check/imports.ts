/**
 * The import rules of the house (docs/architecture.md), held by reading every import there is:
 *
 *   engine/protocol → nothing outside itself; engine/server, engine/client → protocol, duplex
 *   runtime/*       → engine, and exactly one runtime's API
 *   storage, mail   → engine's types and values; relay → engine, storage, mail; inbox → storage, mail
 *   apps            → packages, through their exports
 *
 * Nobody imports an app, or another package's `src`. The protocol has no clock and no chance of its own.
 */
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { globSync } from 'node:fs'

/** What each place may import: workspace packages, runtime modules, and packages of others by name. */
interface Rule {
  readonly place: RegExp
  readonly packages: readonly string[]
  /** Modules of a runtime, by prefix. */
  readonly runtime: readonly string[]
  readonly foreign: readonly string[]
  /** Places outside its own folder that its relative imports may reach. */
  readonly relative?: readonly RegExp[]
}

/** What Duplexes share without naming a runtime; it may be reached from where there is no `node:`. */
const SHARED_BY_ALL = /^packages\/runtime\/src\/(?:duration|endpoint|linger|received|wait)\.ts$/

const RULES: readonly Rule[] = [
  { place: /^packages\/engine\/src\/protocol\//, packages: [], runtime: [], foreign: [], relative: [] },
  {
    place: /^packages\/engine\/src\/(?:server|client)\//,
    packages: [],
    runtime: [],
    foreign: [],
    relative: [/^packages\/engine\/src\/protocol\//, /^packages\/engine\/src\/duplex\.ts$/],
  },
  { place: /^packages\/engine\/src\//, packages: [], runtime: [], foreign: [], relative: [/^packages\/engine\/src\//] },
  { place: SHARED_BY_ALL, packages: ['@postern/engine'], runtime: [], foreign: [], relative: [SHARED_BY_ALL] },
  {
    // What server runtimes share: `node:` modules that all of them have.
    place: /^packages\/runtime\/src\/[^/]+$/,
    packages: ['@postern/engine'],
    runtime: ['node:'],
    foreign: ['@peculiar/x509', 'reflect-metadata'],
    relative: [/^packages\/runtime\/src\/[^/]+$/],
  },
  {
    place: /^packages\/runtime\/src\/(?:node|deno|bun)\//,
    packages: ['@postern/engine'],
    runtime: ['node:'],
    foreign: [],
    relative: [/^packages\/runtime\/src\/[^/]+$/],
  },
  {
    place: /^packages\/runtime\/src\/cloudflare\//,
    packages: ['@postern/engine'],
    runtime: ['cloudflare:'],
    foreign: ['@cloudflare/workers-types'],
    relative: [SHARED_BY_ALL, /^packages\/runtime\/src\/web\//],
  },
  {
    place: /^packages\/runtime\/src\/websocket\//,
    packages: ['@postern/engine'],
    runtime: [],
    foreign: ['jose'],
    relative: [SHARED_BY_ALL],
  },
  {
    place: /^packages\/runtime\/src\/(?:memory|web)\//,
    packages: ['@postern/engine'],
    runtime: [],
    foreign: [],
    relative: [SHARED_BY_ALL],
  },
  {
    place: /^packages\/storage\/src\//,
    packages: ['@postern/engine'],
    runtime: ['node:'],
    foreign: ['aws4fetch'],
    relative: [/^packages\/storage\/src\//],
  },
  {
    place: /^apps\/server\//,
    packages: ['@postern/engine', '@postern/runtime', '@postern/storage'],
    runtime: ['node:'],
    foreign: ['ws', 'commander', '@logtape/logtape', '@logtape/pretty'],
    relative: [/^apps\/server\//],
  },
  {
    place: /^apps\/cloudflare\//,
    packages: ['@postern/engine', '@postern/runtime', '@postern/storage'],
    runtime: ['node:', 'cloudflare:'],
    foreign: ['hono', '@cloudflare/workers-types'],
    relative: [/^apps\/cloudflare\//],
  },
]

const IMPORT =
  /^\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]/gm
/** What makes a pure function impure. */
const IMPURE = /\bDate\b|\bMath\.random\b|\bperformance\b|\bsetTimeout\b|\bsetInterval\b|\bcrypto\b|\bfetch\b/

/** Every breach, one line each: file, what it imports, why not. */
export function findImportBreaches(root: string): string[] {
  const files = globSync(['packages/*/src/**/*.ts', 'apps/*/*.ts', 'apps/*/src/**/*.ts'], { cwd: root }).toSorted()
  return files.flatMap((file) => breachesIn(file, readFileSync(resolve(root, file), 'utf8'), root))
}

function breachesIn(file: string, source: string, root: string): string[] {
  const rule = RULES.find(({ place }) => place.test(file))
  if (rule === undefined) return [`${file}: no import rule covers this place; add one in test/check/imports.ts`]
  const breaches: string[] = []
  for (const match of source.matchAll(IMPORT)) {
    const target = match[1] ?? match[2] ?? match[3] ?? ''
    const why = refusal(rule, file, target, root)
    if (why !== undefined) breaches.push(`${file}: imports ${target}: ${why}`)
  }
  if (file.startsWith('packages/engine/src/protocol/')) {
    const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    const impure = IMPURE.exec(code)
    if (impure !== null) breaches.push(`${file}: uses ${impure[0]}: the protocol is given time and chance`)
  }
  return breaches
}

function refusal(rule: Rule, file: string, target: string, root: string): string | undefined {
  if (target.startsWith('.')) {
    const reached = relative(root, resolve(root, dirname(file), target))
    const own = /^(?:packages|apps)\/[^/]+\/(?:src\/)?[^/]*/.exec(file)?.[0] ?? file
    const inside = rule.place.test(reached) && (rule.relative?.length === 0 || reached.startsWith(own))
    const allowed = inside || rule.relative?.some((place) => place.test(reached))
    return allowed ? undefined : `it may not reach ${reached}`
  }
  if (rule.runtime.some((prefix) => target.startsWith(prefix))) return undefined
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/')
  if (rule.foreign.includes(name) || rule.packages.includes(name)) return undefined
  return `it may import ${[...rule.packages, ...rule.runtime, ...rule.foreign].join(', ') || 'nothing'}`
}

if (import.meta.main) {
  const breaches = findImportBreaches(resolve(import.meta.dirname, '../..'))
  for (const breach of breaches) console.error(breach)
  process.exitCode = breaches.length === 0 ? 0 : 1
}
