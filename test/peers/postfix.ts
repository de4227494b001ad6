/**
 * Debian's Postfix as a relay on loopback, with its own configuration, queue and log in a directory of the test.
 *
 * It neither reads nor starts the system's own Postfix, and makes no DNS lookups.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import type { Scratch } from '../kit/scratch.ts'
import { freePort } from '../kit/port.ts'
import { mustRun, pathOf, runTool } from '../kit/tool.ts'

export interface PostfixOptions {
  /** The port that all mail is relayed to. */
  readonly relayPort: number
  /** PEM: the certificate of the authority of the relay's certificate. */
  readonly caFile: string
  /** Other settings of main.cf. */
  readonly settings?: Readonly<Record<string, string>>
}

export class Postfix {
  readonly port: number
  readonly #scratch: Scratch

  private constructor(scratch: Scratch, port: number) {
    this.#scratch = scratch
    this.port = port
  }

  /** Configures and starts Postfix. It accepts mail when the promise resolves. */
  static async start(scratch: Scratch, { relayPort, caFile, settings }: PostfixOptions): Promise<Postfix> {
    const port = await freePort()
    const postfix = new Postfix(scratch, port)
    const daemons = await mustRun(pathOf('postconf') as string, ['-h', '-d', 'daemon_directory'])
    // The daemons of Postfix do not run as root.
    await chmod(scratch.path, 0o755)
    await mkdir(postfix.#config)
    await mkdir(scratch.join('spool'))
    await mkdir(scratch.join('data'))
    await mustRun('chown', ['postfix', scratch.join('data')])
    await writeFile(
      scratch.join('postfix', 'main.cf'),
      mainCf({
        queue_directory: scratch.join('spool'),
        data_directory: scratch.join('data'),
        daemon_directory: daemons.stdout.toString().trim(),
        maillog_file: postfix.#log,
        maillog_file_prefixes: scratch.path,
        relayhost: `[127.0.0.1]:${relayPort}`,
        smtp_tls_CAfile: caFile,
        ...settings,
      }),
    )
    await writeFile(scratch.join('postfix', 'master.cf'), masterCf(port))
    await mustRun(pathOf('postfix') as string, ['-c', postfix.#config, 'start'])
    return postfix
  }

  /** Hands a message to its `sendmail`. */
  async sendmail(from: string, to: readonly string[], message: string | Buffer): Promise<void> {
    await mustRun(pathOf('sendmail') as string, ['-C', this.#config, '-i', '-f', from, ...to], { input: message })
  }

  /** Tries the whole queue again now. */
  async flush(): Promise<void> {
    await mustRun(pathOf('postqueue') as string, ['-c', this.#config, '-f'])
  }

  /** Returns the queue as text. */
  async queue(): Promise<string> {
    return (await mustRun(pathOf('postqueue') as string, ['-c', this.#config, '-p'])).stdout.toString()
  }

  log(): Promise<string> {
    return readFile(this.#log, 'utf8').catch(() => '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { code } = await runTool(pathOf('postfix') as string, ['-c', this.#config, 'stop'])
    if (code !== 0) await runTool(pathOf('postfix') as string, ['-c', this.#config, 'abort'])
  }

  get #config(): string {
    return this.#scratch.join('postfix')
  }

  get #log(): string {
    return this.#scratch.join('postfix.log')
  }
}

function mainCf(settings: Readonly<Record<string, string>>): string {
  const all = {
    compatibility_level: '3.6',
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: 'relay.postern.example',
    myorigin: 'relay.postern.example',
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    alias_maps: '',
    local_recipient_maps: '',
    smtp_dns_support_level: 'disabled',
    smtpd_peername_lookup: 'no',
    message_size_limit: '30000000',
    // Postfix must use STARTTLS, and may send only to the server under test.
    smtp_tls_security_level: 'verify',
    smtp_tls_verify_cert_match: 'localhost',
    smtp_tls_loglevel: '1',
    // The default of five minutes is too long for a test.
    minimal_backoff_time: '1s',
    maximal_backoff_time: '2s',
    queue_run_delay: '1s',
    ...settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** Debian's own services, without those that only a full mail system needs. None runs in a chroot. */
function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}
