/**
 * `pnpm bench [shape…] [--server a,b] [--rounds N] [--quick]`: how fast Postern is, beside others and beside the ceiling.
 *
 *     pnpm bench                                                                  all of it
 *     pnpm bench lockstep --server postern-node-discard,barest-node --rounds 5    a row or two
 *
 * A shape or a server is named by any part of its name.
 */
import { mkdtempSync, rmSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measure } from './measure.ts'
import { CORES, Program } from './programs.ts'
import { missing, scriptCommand, SERVERS, type ServerEntry, type Surroundings } from './servers.ts'
import { SHAPES, type Shape, takesPart } from './shapes.ts'
import { shapeTable } from './tables.ts'

const DEFAULT_ROUNDS = 7
const QUICK = { rounds: 3, share: 0.3 }

interface Request {
  readonly shapes: readonly Shape[]
  readonly servers: readonly ServerEntry[]
  readonly rounds: number
  readonly share: number
}

await main(readRequest())

function readRequest(): Request {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { server: { type: 'string' }, rounds: { type: 'string' }, quick: { type: 'boolean', default: false } },
    })
    const { rounds = String(values.quick ? QUICK.rounds : DEFAULT_ROUNDS) } = values
    if (!/^[1-9]\d{0,2}$/.test(rounds)) throw new Error(`--rounds: ${rounds} is not a number from 1 to 999`)
    return {
      shapes: named('shape', SHAPES, positionals),
      servers: named('server', SERVERS, values.server?.split(',')),
      rounds: Number(rounds),
      share: values.quick ? QUICK.share : 1,
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(2)
  }
}

/** Those that are called so, or whose name has that in it. All of them where nothing is asked for. */
function named<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  parts: readonly string[] = [],
): T[] {
  if (parts.length === 0) return [...all]
  const chosen = new Set<T>()
  for (const part of parts) {
    const exact = all.filter(({ name }) => name === part)
    const found = exact.length > 0 ? exact : all.filter(({ name }) => name.includes(part))
    if (found.length === 0)
      throw new Error(`${part}: no ${what} has that in its name; there are ${all.map(({ name }) => name).join(', ')}`)
    for (const one of found) chosen.add(one)
  }
  return all.filter((one) => chosen.has(one))
}

async function main({ shapes, servers, rounds, share }: Request): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const load = new Program(scriptCommand('bun', 'load/main.ts'), { core: CORES.load })
  try {
    for (const entry of servers) {
      const why = missing(entry)
      if (why !== undefined) process.stderr.write(`${entry.name} is left out: ${why}\n`)
    }
    const present = servers.filter((entry) => missing(entry) === undefined)
    for (const shape of shapes) {
      const entries = present.filter((entry) => takesPart(shape, entry))
      const surroundings = async (entry: ServerEntry): Promise<Surroundings> => {
        const directory = join(scratch, shape.name, entry.name)
        mkdirSync(directory, { recursive: true, mode: 0o700 })
        return { directory, tls: undefined }
      }
      const measured = await measure(shape, entries, { load, rounds, share, surroundings, progress })
      process.stdout.write(`${shapeTable(shape, measured)}\n\n`)
    }
  } finally {
    await load.end()
    rmSync(scratch, { recursive: true, force: true })
  }
}

function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}
