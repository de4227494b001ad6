/** Debian's Dovecot as a receiver by LMTP, over Maildirs. Postfix asks it about logins. */
import { chmod, chown, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../kit/daemon.ts'
import { freePort } from '../../kit/port.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { pathOf } from '../../kit/tool.ts'
import { eventually } from '../../kit/waiting.ts'
import { type Files, greets, PASSWORD, type Receiver, RECIPIENTS, USER, writeReadable } from './receiver.ts'

/** The owner of the Maildirs. Dovecot serves no mail as root. */
const UID = 12_345

export class DovecotReceiver implements Receiver {
  readonly url: string
  readonly authPort: number
  /** Of a Unix socket. */
  readonly path: string
  readonly #scratch: Scratch
  readonly #daemon: Daemon

  private constructor(scratch: Scratch, ports: Ports, daemon: Daemon) {
    this.#scratch = scratch
    this.url = `lmtp://127.0.0.1:${ports.lmtp}`
    this.path = scratch.join('dovecot', 'run', 'lmtp')
    this.authPort = ports.auth
    this.#daemon = daemon
  }

  static async start(scratch: Scratch, files: Files): Promise<DovecotReceiver> {
    const ports = { lmtp: await freePort(), auth: await freePort() }
    await chmod(scratch.path, 0o755)
    for (const name of ['', 'run', 'state', 'mail']) await mkdir(scratch.join('dovecot', name), { mode: 0o755 })
    await chown(scratch.join('dovecot', 'mail'), UID, UID)
    const users = await writeReadable(
      scratch,
      'dovecot-users',
      [USER, ...RECIPIENTS].map((name) => `${name}:{PLAIN}${PASSWORD}::::::\n`).join(''),
    )
    const config = await writeReadable(scratch, 'dovecot.conf', configuration(scratch, ports, files, users))
    const daemon = new Daemon([pathOf('dovecot') as string, '-F', '-c', config], { isGroup: true })
    const dovecot = new DovecotReceiver(scratch, ports, daemon)
    await greets(ports.lmtp, daemon, () => dovecot.log())
    return dovecot
  }

  async taken(recipient: string): Promise<Buffer> {
    const [localPart = ''] = recipient.split('@')
    const folder = this.#scratch.join('dovecot', 'mail', localPart, 'new')
    const names = (): Promise<string[]> => readdir(folder).catch(() => [])
    await eventually(async () => (await names()).length > 0, `mail for ${recipient}`)
    const [name = ''] = (await names()).toSorted().toReversed()
    return readFile(join(folder, name))
  }

  log(): Promise<string> {
    return readFile(this.#scratch.join('dovecot', 'log'), 'utf8').catch(() => '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
  }
}

interface Ports {
  readonly lmtp: number
  readonly auth: number
}

function configuration(scratch: Scratch, ports: Ports, { keyFile, certFile }: Files, users: string): string {
  const directory = scratch.join('dovecot')
  return `
base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
instance_name = postern-receiver
protocols = lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <${certFile}
ssl_key = <${keyFile}
auth_mechanisms = plain login cram-md5 scram-sha-256
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:${directory}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@postern.example
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${users}
}
userdb {
  driver = static
  args = uid=${UID} gid=${UID} home=${directory}
}
protocol lmtp {
  auth_username_format = %u
}
service anvil {
  # Wrong passwords make nobody wait.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  inet_listener {
    port = ${ports.auth}
  }
}
service lmtp {
  inet_listener lmtp {
    port = ${ports.lmtp}
  }
  unix_listener lmtp {
    mode = 0666
  }
}
`
}
