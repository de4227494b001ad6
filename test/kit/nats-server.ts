/** Debian's nats-server with JetStream, on loopback and with a directory of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon } from './daemon.ts'
import { temporaryDirectory } from './directory.ts'
import { freePort } from './port.ts'
import { pathOf } from './tool.ts'

export interface NatsServerOptions {
  /** Lines of its configuration, such as users and TLS. */
  readonly lines?: readonly string[]
}

export class NatsServer implements AsyncDisposable {
  readonly port: number
  readonly #file: string
  #daemon: Daemon | undefined

  private constructor(port: number, file: string) {
    this.port = port
    this.#file = file
  }

  static async start({ lines = [] }: NatsServerOptions = {}): Promise<NatsServer> {
    const directory = temporaryDirectory()
    const port = await freePort()
    const file = join(directory, 'nats.conf')
    const text = [`listen: 127.0.0.1:${port}`, `jetstream { store_dir: "${directory}/store" }`, ...lines, '']
    writeFileSync(file, text.join('\n'))
    const server = new NatsServer(port, file)
    await server.start()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Starts it again, with the port and the files that it had. */
  async start(): Promise<void> {
    this.#daemon = await Daemon.start([pathOf('nats-server') ?? 'nats-server', '-c', this.#file], /Server is ready/)
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#daemon?.end(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]()
  }
}
