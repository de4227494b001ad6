/**
 * Debian's Postfix as a relay on loopback, with its own configuration, queue and log in a directory of the test.
 *
 * The system's own Postfix, where there is one, is neither read nor started. Nothing is looked up in the DNS.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import type { Scratch } from '../kit/scratch.ts'
import { freePort } from '../kit/port.ts'
import { mustRun, pathOf, runTool } from '../kit/tool.ts'

export interface PostfixOptions {
  /** Where all mail goes. */
  readonly relayPort: number
  /** PEM: what signed the relay's certificate. */
  readonly caFile: string
}

export class Postfix {
  readonly port: number
  readonly #scratch: Scratch

  private constructor(scratch: Scratch, port: number) {
    this.#scratch = scratch
    this.port = port
  }

  /** Configures and starts it. It takes mail when the promise resolves. */
  static async start(scratch: Scratch, { relayPort, caFile }: PostfixOptions): Promise<Postfix> {
    const port = await freePort()
    const postfix = new Postfix(scratch, port)
    const daemons = await mustRun(pathOf('postconf') as string, ['-h', '-d', 'daemon_directory'])
    // Its daemons are not root.
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

  /** Looks at the whole queue again, now. */
  async flush(): Promise<void> {
    await mustRun(pathOf('postqueue') as string, ['-c', this.#config, '-f'])
  }

  /** What waits in the queue, as people read it. */
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
    // STARTTLS or nothing, and to nobody but the server under test.
    smtp_tls_security_level: 'verify',
    smtp_tls_verify_cert_match: 'localhost',
    smtp_tls_loglevel: '1',
    // Tests have no five minutes.
    minimal_backoff_time: '1s',
    maximal_backoff_time: '2s',
    queue_run_delay: '1s',
    ...settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** As Debian ships it, less what only a full mail system needs; nothing runs in a chroot. */
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
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}
