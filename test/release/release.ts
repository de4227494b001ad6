/**
 * `pnpm release VERSION`: gives all packages that version, and builds and packs them. It publishes nothing: it prints the commands that do.
 *
 * It refuses a tree with changes that are not committed, and a version that CHANGELOG.md says nothing about. `--dry-run` only checks.
 */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { writeJsrFiles } from './jsr.ts'
import { packAll, tarballOf } from './pack.ts'
import { type Package, publishedPackages } from './packages.ts'

/** Gets the tarballs, relative to the root. */
const DESTINATION = 'dist'
const VERSION = /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,64})?$/
const USAGE = 'pnpm release VERSION [--dry-run]'

/** The user must change something. */
class Refusal extends Error {}

/** Gives every package of the workspace this version, and asks for it in the template of a Worker. */
export function setVersion(root: string, version: string): void {
  for (const path of globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: root })) {
    replace(join(root, path), /^( {2}"version": )".*"/m, `$1"${version}"`)
  }
  const template = join(root, 'apps/cloudflare/template/package.json')
  replace(template, /^( {4}"@postern\/\w+": )".*"/gm, `$1"${version}"`)
  replace(join(root, 'apps/server/src/host/version.ts'), /(VERSION = )'.*'/, `$1'${version}'`)
  writeJsrFiles(root)
}

function replace(path: string, pattern: RegExp, text: string): void {
  writeFileSync(path, readFileSync(path, 'utf8').replace(pattern, text))
}

/** Returns the packages so that each comes after those that it depends on, because a registry needs them first. */
export function inOrder(packages: readonly Package[]): Package[] {
  const ordered: Package[] = []
  const add = (each: Package): void => {
    for (const other of packages) if (each.manifest.dependencies?.[other.manifest.name] !== undefined) add(other)
    if (!ordered.includes(each)) ordered.push(each)
  }
  for (const each of packages) add(each)
  return ordered
}

/** @throws Refusal */
function check(root: string, version: string | undefined): asserts version is string {
  if (version === undefined) throw new Refusal(`a version is missing: ${USAGE}`)
  if (!VERSION.test(version)) throw new Refusal(`${version} is not a version such as 1.2.3 or 1.2.3-beta.1`)
  const { status, stdout, stderr } = spawnSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Refusal(`git status: ${stderr?.trim() ?? 'git is not installed'}`)
  const changed = stdout.split('\n').filter((line) => line !== '')
  if (changed.length > 0)
    throw new Refusal(`${changed.length} files are not committed: ${changed.slice(0, 5).join(', ')}`)
  const sections = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split(/^## /m)
  const section = sections.find((text) => text.split(/\s/, 1)[0] === version)
  if (section === undefined) throw new Refusal(`CHANGELOG.md has no section "## ${version}"`)
  if (!section.includes('\n- ') && !section.includes('\n| '))
    throw new Refusal(`CHANGELOG.md says nothing about ${version}`)
}

function release(root: string, version: string): void {
  setVersion(root, version)
  const packages = inOrder(publishedPackages(root))
  const destination = join(root, DESTINATION)
  packAll(root, packages, destination)
  const tarballs = packages.map((each) => tarballOf(DESTINATION, each))
  console.log(
    [
      `All packages have version ${version}. To publish them:`,
      `  git commit --all --message 'release ${version}'`,
      `  git tag v${version}`,
      ...tarballs.map((path) => `  npm publish ./${path}`),
      '  deno publish',
      'To go back: git restore .',
    ].join('\n'),
  )
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../..')
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'dry-run': { type: 'boolean' } } })
    const [version, ...others] = positionals
    if (others.length > 0) throw new Refusal(`${others.join(' ')}: only one version is expected: ${USAGE}`)
    check(root, version)
    if (values['dry-run'] === true) {
      const names = inOrder(publishedPackages(root)).map(({ manifest }) => manifest.name)
      console.log(`Version ${version} can be released: ${names.join(', ')}. Nothing was changed.`)
    } else release(root, version)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = error instanceof Refusal || error instanceof TypeError ? 2 : 1
  }
}
