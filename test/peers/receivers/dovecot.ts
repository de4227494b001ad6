/** Debian's Dovecot as a receiver by LMTP, over Maildirs. Postfix asks it about logins. */
import { chmod, chown, mkdir, readdir, readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Daemon } from '../../kit/daemon.ts'
import { freePort } from '../../kit/port.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { pathOf } from '../../kit/tool.ts'
import { eventually } from '../../kit/waiting.ts'
import { type Files, greets, PASSWORD, type Receiver, RECIPIENTS, TOKEN, USER, writeReadable } from './receiver.ts'

/** The owner of the Maildirs. Dovecot serves no mail as root. */
const UID = 12_345

export class DovecotReceiver implements Receiver {
  readonly url: string
  readonly authPort: number
  /** Of a Unix socket. */
  readonly path: string
  readonly #scratch: Scratch
  readonly #daemon: Daemon
  readonly #issuer: Server

  private constructor(scratch: Scratch, ports: Ports, daemon: Daemon, issuer: Server) {
    this.#scratch = scratch
    this.url = `lmtp://127.0.0.1:${ports.lmtp}`
    this.path = scratch.join('dovecot', 'run', 'lmtp')
    this.authPort = ports.auth
    this.#daemon = daemon
    this.#issuer = issuer
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
    const issuer = await startIssuer()
    const { port } = issuer.address() as AddressInfo
    const tokens = await writeReadable(scratch, 'dovecot-tokens', tokenSettings(port))
    const config = await writeReadable(scratch, 'dovecot.conf', configuration(scratch, ports, files, { users, tokens }))
    const daemon = new Daemon([pathOf('dovecot') as string, '-F', '-c', config], { isGroup: true })
    const dovecot = new DovecotReceiver(scratch, ports, daemon, issuer)
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
    this.#issuer.close()
  }
}

interface Ports {
  readonly lmtp: number
  readonly auth: number
}

/** Says whose token it is. */
async function startIssuer(): Promise<Server> {
  const issuer = createServer((request, response) => {
    const isRight = request.headers.authorization === `Bearer ${TOKEN}`
    response.writeHead(isRight ? 200 : 401, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isRight ? { active: true, username: USER } : { error: 'invalid_token' }))
  })
  await once(issuer.listen(0, '127.0.0.1'), 'listening')
  return issuer
}

function tokenSettings(port: number): string {
  return `
introspection_url = http://127.0.0.1:${port}/
introspection_mode = auth
active_attribute = active
active_value = true
username_attribute = username
username_format = %u
`
}

function configuration(
  scratch: Scratch,
  ports: Ports,
  { keyFile, certFile }: Files,
  { users, tokens }: { readonly users: string; readonly tokens: string },
): string {
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
auth_mechanisms = plain login cram-md5 scram-sha-256 oauthbearer xoauth2
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:${directory}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@postern.example
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = ${tokens}
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256 none
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
