/**
 * Debian's Dovecot as an IMAP server on loopback, over Maildirs, with its own configuration, sockets and log in a directory of the
 * test.
 *
 * It neither reads nor starts the system's own Dovecot.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Daemon } from '../kit/daemon.ts'
import { freePort } from '../kit/port.ts'
import type { Scratch } from '../kit/scratch.ts'
import { mustRun, pathOf } from '../kit/tool.ts'
import { eventually } from '../kit/waiting.ts'

const PASSWORD = 'correct-horse'

export interface DovecotOptions {
  /** The directory of the Maildirs. */
  readonly mail: string
  /** The owner of the Maildirs. Not root, because Dovecot serves no mail as root. */
  readonly uid: number
}

/** One answer of the server: OK, and the data. */
export type Answer = readonly [string, readonly unknown[]]

export class Dovecot {
  readonly #port: number
  readonly #scratch: Scratch
  readonly #daemon: Daemon

  private constructor(scratch: Scratch, port: number, daemon: Daemon) {
    this.#scratch = scratch
    this.#port = port
    this.#daemon = daemon
  }

  /** Configures and starts Dovecot. It accepts connections when the promise resolves. */
  static async start(scratch: Scratch, options: DovecotOptions): Promise<Dovecot> {
    const port = await freePort()
    // The processes of Dovecot do not run as root.
    await chmod(scratch.path, 0o755)
    for (const name of ['', 'run', 'state']) await mkdir(scratch.join('dovecot', name), { mode: 0o755 })
    const config = scratch.join('dovecot', 'dovecot.conf')
    await writeFile(config, configuration(scratch, port, options))
    const daemon = new Daemon([pathOf('dovecot') as string, '-F', '-c', config], { isGroup: true })
    const dovecot = new Dovecot(scratch, port, daemon)
    const isUp = async (): Promise<boolean> => {
      if (!daemon.isRunning) throw new Error(`dovecot ended:\n${daemon.output}\n${await dovecot.log()}`)
      return answers(port)
    }
    await eventually(isUp, 'dovecot answers')
    return dovecot
  }

  /** Logs in as this user and gives these commands of Python's imaplib, each by its name and arguments. */
  async commands(user: string, ...commands: readonly (readonly string[])[]): Promise<Answer[]> {
    const input = JSON.stringify({ port: this.#port, user, password: PASSWORD, commands })
    const { stdout } = await mustRun('python3', [join(import.meta.dirname, 'imap_client.py')], { input })
    return JSON.parse(stdout.toString()) as Answer[]
  }

  log(): Promise<string> {
    return readFile(this.#scratch.join('dovecot', 'log'), 'utf8').catch(() => '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}

function configuration(scratch: Scratch, port: number, { mail, uid }: DovecotOptions): string {
  const directory = scratch.join('dovecot')
  return `
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
instance_name = postern-test
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:${mail}/%d/%n
first_valid_uid = 1
first_valid_gid = 1
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=${uid} gid=${uid} home=${directory}
}
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
`
}
