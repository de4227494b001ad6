/**
 * `pnpm test`: everything that must hold, one step after another, and a count at the end.
 *
 * The steps are those of CI, so what passes here passes there. Two options do less: `--fast` runs the tests of FAST alone,
 * `--only-checks` no tests. What failed is said once more right above the count, because of a long log often only the end is kept.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { showMatrix } from './matrix.ts'

const root = resolve(import.meta.dirname, '..')
const results = resolve(root, 'test/.cache/results.json')

interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
}

const CHECKS: readonly Step[] = [
  { name: 'types of the engine, which knows no runtime', command: ['tsc', '-p', 'packages/engine/tsconfig.json'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types of the Worker, which knows workerd', command: ['tsc', '-p', 'packages/worker/tsconfig.json'] },
  { name: 'types of the example of it', command: ['tsc', '-p', 'apps/cloudflare/tsconfig.json'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'format', command: ['oxfmt', '--check', '.'] },
  { name: 'import rules', command: ['node', 'test/check/imports.ts'] },
  { name: 'regular expressions', command: ['node', 'test/check/patterns/breaches.ts'] },
]

/** Units, the wire's rules, and the contracts on Node: what somebody who changes the code runs again and again. */
const FAST: readonly string[] = [
  'packages/dns/test/',
  'packages/engine/test/',
  'packages/mail/test/',
  'packages/relay/test/',
  'packages/runtime/test/',
  'packages/storage/test/',
  'test/check/',
  'test/conformance/',
  'test/contract/node.test.ts',
  'test/embedding/',
]
/** Of those folders: other runtimes, real S3 servers, power cuts, kills. */
const NOT_FAST: readonly string[] = [
  '**/{dns,mail}/test/contract.test.ts',
  '**/relay/test/{contract,kill}.test.ts',
  '**/runtime/test/{deno,contract-workerd,cloudflare*}.test.ts',
  '**/storage/test/{contract,crash,disk-faults,r2,s3-*,*power-cut}.test.ts',
]

/** Characters of one failed test's message that are said once more: the assertion, and where it is. */
const MESSAGE = 2000
/** Failed tests that are said once more with their message; of any others only the name is. */
const SHOWN = 10

/** What this reads of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
      /** See kit/need.ts. */
      readonly meta: { readonly missing?: string }
    }[]
  }[]
}

let passed = 0
let failed = 0
let skipped = 0
const failures: string[] = []
const lacks: string[] = []

function run({ name, command: [program, ...args] }: Step): boolean {
  console.log(`\n> ${name}`)
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) console.error(error.message)
  return status === 0
}

for (const step of CHECKS) {
  if (run(step)) passed++
  else fail(step.name)
}

if (!process.argv.includes('--only-checks')) {
  const matrix = resolve(root, 'test/.cache/matrix')
  rmSync(results, { force: true })
  rmSync(resolve(root, 'test/.cache/mime.txt'), { force: true })
  rmSync(matrix, { recursive: true, force: true })
  mkdirSync(matrix, { recursive: true })
  const isFast = process.argv.includes('--fast')
  const chosen = isFast ? [...FAST, ...NOT_FAST.flatMap((glob) => ['--exclude', glob])] : []
  const ended = run({ name: 'tests', command: ['vitest', 'run', '--config', 'test/vitest.config.ts', ...chosen] })
  const report = read()
  if (report !== undefined) {
    passed += report.numPassedTests
    failed += report.numFailedTests
    skipped += report.numPendingTests + report.numTodoTests
    failures.push(...failuresIn(report))
    lacks.push(...lacksIn(report))
  }
  // A run that broke outside of a test is a failure too, however many tests passed.
  if (!ended && (report?.numFailedTests ?? 0) === 0) fail('tests: broken outside of any')
  if (!isFast) {
    console.log('\n> matrix: what passed, by check and runtime or backend')
    const faults = showMatrix()
    console.log(`\n> MIME: messages that other parsers read otherwise than ours\n${readText('mime.txt')}`)
    if (faults.length === 0) passed++
    else fail(`matrix: ${faults.join('; ').slice(0, MESSAGE)}`)
  }
}

run({ name: 'size', command: ['node', 'test/check/size.ts'] })
if (lacks.length > 0)
  console.log(`\n> what this machine lacks; REQUIRE_PEERS=1 makes it a failure\n${lacks.join('\n')}`)
if (failures.length > 0) console.log(`\n> what failed\n${failures.join('\n')}`)
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed === 0 ? 0 : 1

function fail(what: string): void {
  failed++
  failures.push(what)
}

/** What a test wrote for the end of the run. */
function readText(name: string): string {
  const path = resolve(root, 'test/.cache', name)
  return existsSync(path) ? readFileSync(path, 'utf8') : 'nothing was compared'
}

/** The report of vitest, unless it ended before it wrote one. */
function read(): Report | undefined {
  try {
    return JSON.parse(readFileSync(results, 'utf8')) as Report
  } catch {
    return undefined
  }
}

/** Returns a line for each thing that this machine lacks: how many tests it skipped, and what it is. */
function lacksIn({ testResults }: Report): string[] {
  const counts = new Map<string, number>()
  for (const { meta } of testResults.flatMap(({ assertionResults }) => assertionResults)) {
    for (const lack of meta.missing?.split('; ') ?? []) counts.set(lack, (counts.get(lack) ?? 0) + 1)
  }
  return [...counts].map(([lack, count]) => `${String(count).padStart(4)} tests skipped: ${lack}`)
}

/** The failed tests, and the files that failed outside of any, each with the start of what was said of it. */
function failuresIn({ testResults }: Report): string[] {
  return testResults
    .flatMap(({ name, status, message, assertionResults }) => {
      const file = relative(root, name)
      const tests = assertionResults.filter((test) => test.status === 'failed')
      if (tests.length === 0) return status === 'failed' ? [{ name: file, message }] : []
      return tests.map((test) => ({ name: `${file} > ${test.fullName}`, message: test.failureMessages.join('\n') }))
    })
    .map(({ name, message }, index) =>
      index < SHOWN ? `${name}\n${withoutRunner(message).slice(0, MESSAGE)}\n` : name,
    )
}

/** A message without the frames of the test runner, which are most of its stack. */
function withoutRunner(message: string): string {
  return message
    .split('\n')
    .filter((line) => !/^\s+at .*\/node_modules\//.test(line))
    .join('\n')
}
