/**
 * Runs the steps of the Dockerfile without Docker. Each stage is a folder, which stands for the root of its file system: absolute paths of
 * the Dockerfile are meant within it. The base image is this machine.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, matchesGlob, relative } from 'node:path'
import { mustRun } from '../../../test/kit/tool.ts'

export interface Image {
  /** The root folder of the last stage. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
}

export interface BuildOptions {
  readonly context: string
  readonly dockerfile: string
  /** Gets the root folders of the stages. */
  readonly scratch: string
  readonly env: NodeJS.ProcessEnv
  /** Steps that are not run, because the machine has what they bring. */
  readonly given: RegExp
}

interface Stage {
  readonly root: string
  workdir: string
}

/** Builds the last stage. @throws if a step fails, or is one that this does not know */
export async function buildImage({ context, dockerfile, scratch, env, given }: BuildOptions): Promise<Image> {
  const stages = new Map<string, Stage>()
  const ignore = readFileSync(join(context, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => /^[^#]/.test(line))
  let stage: Stage = { root: '', workdir: '/' }
  const made: { env: Record<string, string>; lists: Record<string, readonly string[]> } = { env: {}, lists: {} }
  /** Maps an absolute path of the Dockerfile into the folder of a stage. */
  const within = (path: string, { root, workdir }: Stage = stage): string =>
    join(root, path.startsWith('/') ? path : join(workdir, path))
  for (const { name, rest } of instructions(dockerfile)) {
    switch (name) {
      case 'FROM': {
        const [, base = '', as = 'final'] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? []
        const from = stages.get(base)
        stage = { root: join(scratch, as), workdir: from?.workdir ?? '/' }
        mkdirSync(stage.root)
        if (from !== undefined) cpSync(from.root, stage.root, { recursive: true, verbatimSymlinks: true })
        stages.set(as, stage)
        break
      }
      case 'WORKDIR':
        stage.workdir = rest
        mkdirSync(within(rest), { recursive: true })
        break
      case 'COPY': {
        const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? []
        const sources = paths.split(' ')
        const target = within(sources.pop() ?? '')
        for (const source of sources) {
          const path = from === undefined ? join(context, source) : within(source, stages.get(from))
          const isKept = (file: string): boolean => from !== undefined || !isIgnored(relative(context, file), ignore)
          if (!existsSync(path) || !isKept(path)) throw new Error(`COPY ${source}: it is not in the context`)
          const to = statSync(path).isDirectory() ? target : join(target, basename(path))
          cpSync(path, to, { recursive: true, verbatimSymlinks: true, filter: isKept })
        }
        break
      }
      case 'RUN':
        if (given.test(rest)) break
        await mustRun('sh', ['-c', rest.replaceAll(/(?<= )\/(?!dev\/)(?=\w)/g, `${stage.root}/`)], {
          cwd: within('.'),
          env,
          timeoutMs: 300_000,
        })
        break
      case 'ENV':
        for (const [, key = '', value = ''] of rest.matchAll(/(\w+)="?([^"\s]+)"?/g))
          made.env[key] = value.replace(':/', `:${stage.root}/`)
        break
      case 'ENTRYPOINT':
      case 'CMD':
      case 'HEALTHCHECK':
        made.lists[name] = (JSON.parse(/\[.*\]$/.exec(rest)?.[0] ?? '[]') as string[]).map((word) =>
          word.startsWith('/') ? within(word) : word,
        )
        break
      case 'ARG':
      case 'LABEL':
      case 'USER':
      case 'VOLUME':
      case 'EXPOSE':
      case 'STOPSIGNAL':
        break
      default:
        throw new Error(`${name} ${rest}: an instruction that is not known here`)
    }
  }
  const { ENTRYPOINT: entrypoint = [], CMD: command = [], HEALTHCHECK: healthcheck = [] } = made.lists
  return { root: stage.root, env: made.env, entrypoint, command, healthcheck }
}

function instructions(dockerfile: string): { name: string; rest: string }[] {
  return dockerfile
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }))
}

/** Says what .dockerignore says: the last line that matches the path, or a folder above it, counts. */
function isIgnored(path: string, lines: readonly string[]): boolean {
  const names = path.split('/')
  const above = names.map((_, index) => names.slice(0, index + 1).join('/'))
  const last = lines.findLast((line) => above.some((part) => matchesGlob(part, line.replace(/^!/, ''))))
  return last !== undefined && !last.startsWith('!')
}
