/** Debian's opendkim: a milter that signs what Postfix sends. */
import { chmod, writeFile } from 'node:fs/promises'
import { Daemon } from '../kit/daemon.ts'
import { freePort, isOpen } from '../kit/port.ts'
import type { Scratch } from '../kit/scratch.ts'
import { pathOf } from '../kit/tool.ts'
import { eventually } from '../kit/waiting.ts'

export interface SigningKey {
  readonly domain: string
  readonly selector: string
  readonly pem: string
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256'
}

export class OpenDkim implements AsyncDisposable {
  readonly #daemon: Daemon
  /** Its address, as Postfix names a milter. */
  readonly milter: string

  private constructor(daemon: Daemon, port: number) {
    this.#daemon = daemon
    this.milter = `inet:127.0.0.1:${port}`
  }

  /** Starts a signer with one key. It signs what comes from this machine. */
  static async start(scratch: Scratch, { domain, selector, pem, algorithm }: SigningKey): Promise<OpenDkim> {
    const port = await freePort()
    const [file, key] = [scratch.join(`opendkim-${selector}.conf`), scratch.join(`opendkim-${selector}.pem`)]
    await writeFile(key, pem)
    await chmod(key, 0o600)
    const settings = {
      Mode: 's',
      Socket: `inet:${port}@127.0.0.1`,
      Domain: domain,
      Selector: selector,
      KeyFile: key,
      SignatureAlgorithm: algorithm,
      Canonicalization: 'relaxed/simple',
      RequireSafeKeys: 'no',
      Syslog: 'no',
    }
    await writeFile(
      file,
      Object.entries(settings).map((setting) => `${setting.join(' ')}\n`),
    )
    const daemon = new Daemon([pathOf('opendkim') ?? 'opendkim', '-f', '-x', file])
    const isUp = (): Promise<boolean> => {
      if (!daemon.isRunning) throw new Error(`opendkim ended:\n${daemon.output}`)
      return isOpen(port)
    }
    await eventually(isUp, `opendkim listens on ${port}`)
    return new OpenDkim(daemon, port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
  }
}
