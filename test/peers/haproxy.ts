/** HAProxy before the server. Its authors specified the PROXY protocol. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Scratch } from '../kit/scratch.ts'
import { freePort } from '../kit/port.ts'
import { pathOf } from '../kit/tool.ts'

const START_TIMEOUT_MS = 30_000

/** One frontend and its server. */
export interface Way {
  /** The options after its address: `ssl crt FILE`. */
  readonly bind?: string
  /** The port of the server, and the option that sends the header: `send-proxy`. */
  readonly port: number
  readonly server: string
  /** More lines of the section. */
  readonly lines?: readonly string[]
}

export class HaProxy implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #ports: ReadonlyMap<string, number>

  private constructor(process: ChildProcess, ports: ReadonlyMap<string, number>) {
    this.#process = process
    this.#ports = ports
  }

  static async start(scratch: Scratch, ways: Readonly<Record<string, Way>>): Promise<HaProxy> {
    const ports = new Map<string, number>()
    for (const name of Object.keys(ways)) ports.set(name, await freePort())
    const file = scratch.join('haproxy.cfg')
    await writeFile(file, configuration(ways, ports))
    let said = ''
    const child = spawn(pathOf('haproxy') ?? 'haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
    const proxy = new HaProxy(child, ports)
    const deadline = Date.now() + START_TIMEOUT_MS
    for (const port of ports.values()) {
      while (!(await isOpen(port))) {
        if (child.exitCode === null && Date.now() < deadline) continue
        await proxy[Symbol.asyncDispose]()
        throw new Error(`haproxy does not listen:\n${said}`)
      }
    }
    return proxy
  }

  /** Returns the port of a frontend. */
  port(name: string): number {
    const port = this.#ports.get(name)
    if (port === undefined) throw new Error(`no way is called ${name}`)
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
  }
}

function configuration(ways: Readonly<Record<string, Way>>, ports: ReadonlyMap<string, number>): string {
  const sections = Object.entries(ways).map(([name, { bind = '', port, server, lines = [] }]) =>
    [
      `listen ${name}`,
      `  bind 127.0.0.1:${ports.get(name)} ${bind}`,
      ...lines.map((line) => `  ${line}`),
      `  server postern 127.0.0.1:${port} ${server}`,
    ].join('\n'),
  )
  const common = ['global', '  maxconn 100', 'defaults', '  mode tcp', '  timeout connect 5s', '  timeout client 20s']
  return [...common, '  timeout server 20s', ...sections, ''].join('\n')
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const settle = (answer: boolean) => () => {
      socket.destroy()
      setTimeout(resolve, answer ? 0 : 50, answer)
    }
    socket.once('connect', settle(true)).once('error', settle(false))
  })
}
