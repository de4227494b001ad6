/** Finds every regular expression in sources, by TypeScript's own parser: literals, `RegExp`, and strings that become one. */
import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import {
  type CallExpression,
  type Identifier,
  type NewExpression,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import { createVirtualFileSystem } from 'typescript/unstable/fs'
import { API } from 'typescript/unstable/sync'

export interface Pattern {
  readonly file: string
  readonly line: number
  /** Undefined if it is made from values that are not constant in its file. */
  readonly source: string | undefined
  readonly flags: string
  /** As it is written in the file. */
  readonly text: string
}

/** Methods that make a pattern from a string. */
const TAKES_PATTERN: ReadonlySet<string> = new Set(['match', 'matchAll', 'search'])

/** Returns every pattern of the packages and the apps. */
export function findPatterns(root: string): Pattern[] {
  const files = globSync(['packages/*/src/**/*.ts', 'apps/*/*.{ts,js}', 'apps/*/src/**/*.ts'], { cwd: root }).toSorted()
  return patternsIn(Object.fromEntries(files.map((file) => [file, readFileSync(resolve(root, file), 'utf8')])))
}

/** @param sources Texts of files, by name */
export function patternsIn(sources: Readonly<Record<string, string>>): Pattern[] {
  const files = Object.keys(sources)
  const config = { compilerOptions: { noLib: true, noResolve: true, allowJs: true, types: [] }, files }
  const virtual = Object.entries(sources).map(([file, source]) => [`/${file}`, source])
  const fs = createVirtualFileSystem({ ...Object.fromEntries(virtual), '/tsconfig.json': JSON.stringify(config) })
  const api = new API({ cwd: '/', fs })
  try {
    using snapshot = api.updateSnapshot({ openProjects: ['/tsconfig.json'] })
    const project = snapshot.getProject('/tsconfig.json')
    return files.flatMap((file) => {
      const parsed = project?.program.getSourceFile(`/${file}`)
      if (parsed === undefined) throw new Error(`${file}: TypeScript does not read it`)
      return new Finder(file, parsed).patterns()
    })
  } finally {
    api.close()
  }
}

class Finder {
  readonly #file: string
  readonly #source: SourceFile
  readonly #found: Pattern[] = []
  /** Constants at the top of the file. */
  readonly #constants = new Map<string, Node>()

  constructor(file: string, source: SourceFile) {
    this.#file = file
    this.#source = source
    for (const statement of source.statements) {
      if (!is.isVariableStatement(statement)) continue
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (is.isIdentifier(name) && initializer !== undefined) this.#constants.set(name.text, initializer)
      }
    }
  }

  patterns(): Pattern[] {
    this.#visit(this.#source)
    return this.#found
  }

  readonly #visit = (node: Node): void => {
    if (node.kind === SyntaxKind.RegularExpressionLiteral) this.#literal(node)
    else if (is.isNewExpression(node) || is.isCallExpression(node)) this.#call(node)
    node.forEachChild(this.#visit)
  }

  #literal(node: Node): void {
    const text = node.getText(this.#source)
    const end = text.lastIndexOf('/')
    this.#add(node, text.slice(1, end), text.slice(end + 1))
  }

  #call(node: NewExpression | CallExpression): void {
    const { expression, arguments: given = [] } = node
    const [pattern, flags] = given
    if (pattern === undefined) return
    if (is.isIdentifier(expression) && expression.text === 'RegExp') {
      this.#add(node, this.#constant(pattern), flags === undefined ? '' : (this.#constant(flags) ?? ''))
    } else if (is.isPropertyAccessExpression(expression) && TAKES_PATTERN.has((expression.name as Identifier).text)) {
      const text = this.#constant(pattern)
      if (text !== undefined) this.#add(node, text, '')
    }
  }

  #add(node: Node, source: string | undefined, flags: string): void {
    const start = node.getStart(this.#source)
    const line = this.#source.text.slice(0, start).split('\n').length
    this.#found.push({ file: this.#file, line, source, flags, text: node.getText(this.#source) })
  }

  /** Returns the string of an expression, if the file shows it plainly. */
  #constant(node: Node): string | undefined {
    if (is.isStringLiteral(node) || is.isNoSubstitutionTemplateLiteral(node)) return node.text
    if (is.isIdentifier(node)) {
      const initializer = this.#constants.get(node.text)
      return initializer === undefined ? undefined : this.#constant(initializer)
    }
    if (is.isBinaryExpression(node) && node.operatorToken.kind === SyntaxKind.PlusToken) {
      return joined([this.#constant(node.left), this.#constant(node.right)])
    }
    if (is.isPropertyAccessExpression(node) && (node.name as Identifier).text === 'raw') return undefined
    if (is.isTaggedTemplateExpression(node)) return this.#raw(node.tag, node.template)
    if (is.isTemplateExpression(node)) {
      return joined([
        node.head.text,
        ...node.templateSpans.flatMap(({ expression, literal }) => [this.#constant(expression), literal.text]),
      ])
    }
    return undefined
  }

  /** `String.raw`. */
  #raw(tag: Node, template: Node): string | undefined {
    if (tag.getText(this.#source) !== 'String.raw') return undefined
    const written = (part: Node): string =>
      part
        .getText(this.#source)
        .slice(1)
        .replace(/(?:\$\{|`)$/, '')
    if (is.isNoSubstitutionTemplateLiteral(template)) return written(template)
    if (!is.isTemplateExpression(template)) return undefined
    return joined([
      written(template.head),
      ...template.templateSpans.flatMap(({ expression, literal }) => [this.#constant(expression), written(literal)]),
    ])
  }
}

function joined(parts: readonly (string | undefined)[]): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join('')
}
