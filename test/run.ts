/**
 * `pnpm test`: everything that must hold, one step after another, and a count at the end.
 *
 * The steps are those of CI, so what passes here passes there. `--only-checks` leaves the tests out.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
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
  { name: 'types of the Worker, which knows workerd', command: ['tsc', '-p', 'apps/cloudflare/tsconfig.json'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'format', command: ['oxfmt', '--check', '.'] },
  { name: 'import rules', command: ['node', 'test/check/imports.ts'] },
]

let passed = 0
let failed = 0
let skipped = 0

function run({ name, command: [program, ...args] }: Step): boolean {
  console.log(`\n> ${name}`)
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) console.error(error.message)
  return status === 0
}

for (const step of CHECKS) {
  if (run(step)) passed++
  else failed++
}

if (!process.argv.includes('--only-checks')) {
  mkdirSync(resolve(root, 'test/.cache'), { recursive: true })
  rmSync(results, { force: true })
  rmSync(resolve(root, 'test/.cache/matrix'), { recursive: true, force: true })
  const ended = run({ name: 'tests', command: ['vitest', 'run', '--config', 'test/vitest.config.ts'] })
  const counted = count()
  passed += counted.passed
  skipped += counted.skipped
  // A run that broke outside of a test is a failure too, however many tests passed.
  failed += ended ? counted.failed : Math.max(1, counted.failed)
  console.log('\n> matrix: what passed, by check and runtime or backend')
  const faults = showMatrix()
  for (const fault of faults) console.error(fault)
  if (faults.length === 0) passed++
  else failed++
}

run({ name: 'size', command: ['node', 'test/check/size.ts'] })
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed === 0 ? 0 : 1

function count(): { passed: number; failed: number; skipped: number } {
  try {
    const report = JSON.parse(readFileSync(results, 'utf8')) as Record<string, number>
    return {
      passed: report['numPassedTests'] ?? 0,
      failed: report['numFailedTests'] ?? 0,
      skipped: (report['numPendingTests'] ?? 0) + (report['numTodoTests'] ?? 0),
    }
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}
