/** Debian's Postfix with mail that it deferred, because its transport was held. */
import { readdirSync, readFileSync } from 'node:fs'
import { appendFile, writeFile } from 'node:fs/promises'
import process from 'node:process'
import type { Scratch } from '../../kit/scratch.ts'
import { mustRun, pathOf } from '../../kit/tool.ts'
import { Postfix } from '../../peers/postfix.ts'
import { CAN_PIN, CORES } from '../programs.ts'
import { atExit } from './ending.ts'
import type { Filled } from './filled.ts'

const TICKS = 100
const PAGE_BYTES = 4096
const WAIT_MS = 250
const START_TRIES = 20
/** main.ts ends earlier. */
const FILL_MS = 3_600_000

interface ProcessFacts {
  readonly pid: number
  readonly parent: number
  /** Its own, and that of its children that have ended. */
  readonly cpuSeconds: number
  readonly residentBytes: number
}

export async function startPostfix(scratch: Scratch, sinkPort: number, messages: number): Promise<Filled> {
  await writeFile(scratch.join('ca.pem'), '')
  const settings = {
    smtp_tls_security_level: 'none',
    defer_transports: 'smtp',
    minimal_backoff_time: '1h',
    maximal_backoff_time: '2h',
    queue_run_delay: '1h',
  }
  const stay = atExit(() => endMaster(scratch))
  await using started = new AsyncDisposableStack()
  const postfix = await Postfix.start(scratch, { relayPort: sinkPort, caFile: scratch.join('ca.pem'), settings })
  started.defer(async () => {
    await postfix[Symbol.asyncDispose]()
    stay()
  })
  const config = scratch.join('postfix')
  const spool = scratch.join('spool')
  const master = masterOf(scratch)
  if (CAN_PIN) await mustRun('taskset', ['-a', '-p', '-c', String(CORES.server), String(master)])
  const source = pathOf('smtp-source') as string
  const from = ['-f', 'sender@example.com', '-t', 'someone@example.org']
  const count = ['-m', String(messages), '-s', '20', '-l', '1024']
  await mustRun(source, [...count, ...from, `127.0.0.1:${postfix.port}`], { timeoutMs: FILL_MS })
  while (countFiles(`${spool}/deferred`) < messages) await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
  const ending = started.move()
  return {
    async release() {
      await appendFile(`${config}/main.cf`, 'defer_transports =\n')
      await mustRun(pathOf('postfix') as string, ['-c', config, 'reload'])
      await postfix.flush()
    },
    cpuSeconds: () => family(master).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    residentBytes: () => family(master).reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    isDone: async () => ['active', 'deferred', 'incoming'].every((queue) => countFiles(`${spool}/${queue}`) === 0),
    [Symbol.asyncDispose]: () => ending.disposeAsync(),
  }
}

/** Returns the number of the process whose end is the end of the others. */
function masterOf(scratch: Scratch): number {
  return Number(readFileSync(scratch.join('spool', 'pid', 'master.pid'), 'utf8'))
}

/** Ends Postfix while this process ends. Its start may still be on its way. */
function endMaster(scratch: Scratch): void {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < START_TRIES; tries++) {
    try {
      process.kill(masterOf(scratch))
      return
    } catch {
      Atomics.wait(clock, 0, 0, WAIT_MS)
    }
  }
}

function countFiles(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length
}

/** Returns a process and its children. */
function family(master: number): ProcessFacts[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => factsOf(Number(name)) ?? [])
    .filter(({ pid, parent }) => pid === master || parent === master)
}

function factsOf(pid: number): ProcessFacts | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    const residentBytes = Number(fields[21]) * PAGE_BYTES
    return { pid, parent: Number(fields[1]), cpuSeconds: ticks / TICKS, residentBytes }
  } catch {
    return undefined
  }
}
