/**
 * Checks every import of the sources against the floors (floors.ts), and finds circles: of files, types included, and
 * of folders. No file imports an app, or another package's `src`.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Package, PACKAGES, type Part } from './floors.ts'

const IMPORT =
  /^\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]/gm
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*$/gm
/** Calls that make a pure function impure. A Date of a given time is pure. */
const IMPURE =
  /\bDate\.now\b|\bDate\(\s*\)|\bnew Date\b(?!\s*\()|\bMath\.random\b|\bperformance\b|\bsetTimeout\b|\bsetInterval\b|\bcrypto\b|\bfetch\b/

interface SourceFile {
  readonly path: string
  readonly house: Package
  readonly part: Part
  readonly floor: number
  readonly code: string
  readonly imports: readonly string[]
}

/** Returns every breach, one line each: the file, the import, and the reason. */
export function findImportBreaches(root: string): string[] {
  const paths = globSync(['packages/*/src/**/*.ts', 'apps/*/*.ts', 'apps/*/src/**/*.ts'], { cwd: root }).toSorted()
  const files: SourceFile[] = []
  const breaches: string[] = []
  for (const path of paths) {
    const place = findPlace(path)
    if (place === undefined) {
      breaches.push(`${path}: no part of a package covers it; add one in test/check/floors.ts`)
      continue
    }
    const source = readFileSync(resolve(root, path), 'utf8')
    const imports = [...source.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    files.push({ path, ...place, code: source.replace(COMMENT, ''), imports })
  }
  return [...breaches, ...files.flatMap(breachesIn), ...circleBreaches(files)]
}

function findPlace(path: string): Pick<SourceFile, 'house' | 'part' | 'floor'> | undefined {
  let longest = -1
  let found: Pick<SourceFile, 'house' | 'part' | 'floor'> | undefined
  for (const house of PACKAGES) {
    for (const [floor, parts] of house.floors.entries()) {
      for (const part of parts) {
        for (const place of part.paths) {
          const whole = join(house.root, place)
          if (whole.length <= longest || (path !== whole && !path.startsWith(`${whole}/`))) continue
          longest = whole.length
          found = { house, part, floor }
        }
      }
    }
  }
  return found
}

function breachesIn(file: SourceFile): string[] {
  const breaches = file.imports.flatMap((target) => {
    const why = target.startsWith('.') ? refusalOfRelative(file, target) : refusalOfModule(file, target)
    return why === undefined ? [] : [`${file.path}: imports ${target}: ${why}`]
  })
  const impure = file.part.isPure === true ? IMPURE.exec(file.code) : null
  if (impure !== null) breaches.push(`${file.path}: uses ${impure[0]}: it is given time and chance`)
  return breaches
}

function refusalOfRelative(file: SourceFile, target: string): string | undefined {
  const reached = reach(file.path, target)
  const place = findPlace(reached)
  if (place?.house !== file.house) return `it may not reach ${reached}, outside of its package`
  if (place.part === file.part) return undefined
  if (place.floor >= file.floor) return `${reached} is not on a lower floor`
  const { below } = file.part
  if (below === undefined || place.part.paths.some((path) => below.includes(path))) return undefined
  return `it may not reach ${reached}`
}

function refusalOfModule({ house, part }: SourceFile, target: string): string | undefined {
  const modules = part.modules ?? []
  const packages = part.packages ?? house.packages
  if (modules.some((prefix) => prefix.endsWith(':') && target.startsWith(prefix))) return undefined
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/')
  if (modules.includes(name) || packages.includes(name)) return undefined
  return `it may import ${[...packages, ...modules].join(', ') || 'nothing'}`
}

/** Finds circles of files, and circles of folders if the files make none. */
function circleBreaches(files: readonly SourceFile[]): string[] {
  const imports = new Map<string, Set<string>>()
  const folders = new Map<string, Set<string>>()
  for (const file of files) {
    const targets = file.imports.filter((target) => target.startsWith('.')).map((target) => reach(file.path, target))
    imports.set(file.path, new Set(targets))
    const from = folderOf(file.path)
    const reached = folders.get(from) ?? new Set()
    folders.set(from, reached)
    for (const target of targets) if (folderOf(target) !== from) reached.add(folderOf(target))
  }
  const ofFiles = findCircles(imports).map((circle) => `circle of files: ${circle.join(' → ')}`)
  const ofFolders = findCircles(folders).map((circle) => `circle of folders: ${circle.join(' → ')}`)
  return [...ofFiles, ...ofFolders]
}

/**
 * A file that is a part by itself counts as its own folder. A package's entry is above its folders, although it is
 * beside them.
 */
function folderOf(path: string): string {
  const place = findPlace(path)
  const isPart = place?.part.paths.some((own) => join(place.house.root, own) === path)
  return isPart === true ? path : dirname(path)
}

/** Returns each circle once, as the list of its nodes. */
function findCircles(edges: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const circles: string[][] = []
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): void => {
    const start = path.indexOf(node)
    if (start >= 0) circles.push([...path.slice(start), node])
    if (start >= 0 || done.has(node)) return
    for (const next of edges.get(node) ?? []) visit(next, [...path, node])
    done.add(node)
  }
  for (const node of edges.keys()) visit(node, [])
  return circles
}

function reach(from: string, target: string): string {
  return join(dirname(from), target)
}

if (import.meta.main) {
  const breaches = findImportBreaches(resolve(import.meta.dirname, '../..'))
  for (const breach of breaches) console.error(breach)
  process.exitCode = breaches.length === 0 ? 0 : 1
}
