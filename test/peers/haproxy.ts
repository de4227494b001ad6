/** HAProxy before the server. Its authors specified the PROXY protocol. */
import { writeFile } from 'node:fs/promises'
import { Daemon } from '../kit/daemon.ts'
import type { Scratch } from '../kit/scratch.ts'
import { freePort, isOpen } from '../kit/port.ts'
import { pathOf } from '../kit/tool.ts'
import { eventually } from '../kit/waiting.ts'

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
  readonly #daemon: Daemon
  readonly #ports: ReadonlyMap<string, number>

  private constructor(daemon: Daemon, ports: ReadonlyMap<string, number>) {
    this.#daemon = daemon
    this.#ports = ports
  }

  static async start(scratch: Scratch, ways: Readonly<Record<string, Way>>): Promise<HaProxy> {
    const ports = new Map<string, number>()
    for (const name of Object.keys(ways)) ports.set(name, await freePort())
    const file = scratch.join('haproxy.cfg')
    await writeFile(file, configuration(ways, ports))
    const daemon = new Daemon([pathOf('haproxy') ?? 'haproxy', '-db', '-f', file])
    for (const port of ports.values()) {
      const isUp = (): Promise<boolean> => {
        if (!daemon.isRunning) throw new Error(`haproxy ended:\n${daemon.output}`)
        return isOpen(port)
      }
      await eventually(isUp, `haproxy listens on ${port}`)
    }
    return new HaProxy(daemon, ports)
  }

  /** Returns the port of a frontend. */
  port(name: string): number {
    const port = this.#ports.get(name)
    if (port === undefined) throw new Error(`no way is called ${name}`)
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
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
