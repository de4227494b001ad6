/** The common part of every section: the load generator, servers on demand, and the time limits. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from '@postern/runtime/tls'
import type { Order, Outcome } from './load/order.ts'
import { CORES, cpuBetween, Program } from './programs.ts'
import { type RunningServer, scriptCommand, type ServerEntry, startServer, type Surroundings } from './servers.ts'

export interface BenchOptions {
  readonly servers: readonly ServerEntry[]
  readonly rounds: number
  readonly isQuick: boolean
  /** Reports the work in progress. */
  progress(line: string): void
}

export interface StartOptions {
  /** With a certificate. Default false. */
  readonly secure?: boolean
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** The cost of an order for both sides. */
export interface Cost {
  readonly outcome: Outcome
  readonly serverCpuSeconds: number
  readonly loadCpuSeconds: number
  /** Of the server, when it was done. */
  readonly residentBytes: number
}

const ORDER_TIMEOUT_MS = 120_000
/** The time in which servers and kernels still work after the last reply. */
const SETTLE_MS = 30

export class Bench implements AsyncDisposable {
  readonly servers: readonly ServerEntry[]
  readonly rounds: number
  readonly isQuick: boolean
  readonly progress: (line: string) => void
  readonly #scratch: string
  #load: Program
  #started = 0

  private constructor(options: BenchOptions, scratch: string) {
    this.servers = options.servers
    this.rounds = options.rounds
    this.isQuick = options.isQuick
    this.progress = options.progress
    this.#scratch = scratch
    this.#load = startLoad()
  }

  static async open(options: BenchOptions): Promise<Bench> {
    const scratch = mkdtempSync(join(tmpdir(), 'postern-bench-'))
    const { key, cert } = await selfSigned()
    writeFileSync(join(scratch, 'key.pem'), key, { mode: 0o600 })
    writeFileSync(join(scratch, 'cert.pem'), cert)
    process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))
    return new Bench(options, scratch)
  }

  /** Starts a server in an empty directory. */
  start(entry: ServerEntry, { secure = false, flags = [], env = {} }: StartOptions = {}): Promise<RunningServer> {
    const directory = this.directory(entry.name)
    const tls = { keyFile: join(this.#scratch, 'key.pem'), certFile: join(this.#scratch, 'cert.pem') }
    const surroundings: Surroundings = { directory, flags, env, tls: secure ? tls : undefined }
    return startServer(entry, surroundings)
  }

  /** Makes an empty directory. It is removed at the end. */
  directory(name: string): string {
    const directory = join(this.#scratch, `${++this.#started}-${name}`)
    mkdirSync(directory, { mode: 0o700 })
    return directory
  }

  /**
   * Gives the load generator an order.
   * @throws if a reply was wrong, or a connection broke
   */
  async perform({ program: server }: RunningServer, order: Order): Promise<Cost> {
    const [serverBefore, loadBefore] = [server.usage(), this.#load.usage()]
    const outcome = await this.#order(order)
    await pause(SETTLE_MS)
    const [serverAfter, loadAfter] = [server.usage(), this.#load.usage()]
    return {
      outcome,
      serverCpuSeconds: cpuBetween(serverBefore, serverAfter),
      loadCpuSeconds: cpuBetween(loadBefore, loadAfter),
      residentBytes: serverAfter.residentBytes,
    }
  }

  async #order(order: Order): Promise<Outcome> {
    try {
      this.#load.write(order)
      const outcome = await this.#load.line<Outcome>(ORDER_TIMEOUT_MS)
      if (outcome.error === undefined) return outcome
      throw new Error(outcome.error)
    } catch (error) {
      // Its other sessions would go on.
      await this.#load.end()
      this.#load = startLoad()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load.end()
    rmSync(this.#scratch, { recursive: true, force: true })
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function startLoad(): Program {
  return new Program(scriptCommand('bun', 'load/main.ts'), { core: CORES.load })
}
