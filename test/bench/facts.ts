/** The machine that the figures were measured on. On another machine they mean nothing. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os'
import { CAN_PIN, CORES, printed } from './programs.ts'
import { BINARIES } from './servers.ts'

const GiB = 1024 ** 3

/** As a list of Markdown. */
export async function machineFacts(): Promise<string> {
  const [bun, deno, workerd] = await Promise.all([
    printed([BINARIES.bun, '--version']),
    printed([BINARIES.deno, '--version']),
    printed([BINARIES.workerd, '--version']),
  ])
  const facts = [
    `Date: ${new Date().toISOString().slice(0, 10)}`,
    `CPU: ${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores; ${Math.round(totalmem() / GiB)} GiB of memory`,
    `Kernel: Linux ${release()}`,
    `Disk of the fs store: ${fileSystem(tmpdir())}`,
    `Node ${process.versions.node}, Bun ${bun}, Deno ${/deno (\S+)/.exec(deno)?.[1]}, ${workerd}`,
    CAN_PIN
      ? `Server on core ${CORES.server}, load generator on core ${CORES.load}`
      : 'Server and load generator on the same cores: there is one, or no taskset',
  ]
  return facts.map((fact) => `- ${fact}`).join('\n')
}

/** Of the longest mount that this path is below. */
function fileSystem(path: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, place = '\0']) => path === place || path.startsWith(place.endsWith('/') ? place : `${place}/`))
  return mounts.toSorted(([, a = ''], [, b = '']) => a.length - b.length).at(-1)?.[2] ?? 'unknown'
}
