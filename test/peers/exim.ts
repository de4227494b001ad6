/**
 * Exim, the one available MTA that sends by BDAT. Its Debian package conflicts with Postfix, so it is only unpacked and runs from
 * there. It has its own configuration and queue, and delivers in the foreground without a daemon.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scratch } from '../kit/scratch.ts'
import { EXIM_PROGRAM, EXIM_USER } from '../kit/abilities.ts'
import { mustRun, runTool } from '../kit/tool.ts'

export class Exim {
  readonly #configuration: string
  readonly #log: string

  private constructor(configuration: string, log: string) {
    this.#configuration = configuration
    this.#log = log
  }

  /** Sets up an Exim that relays all mail to a port of 127.0.0.1. */
  static async make(scratch: Scratch, relayPort: number, caFile: string): Promise<Exim> {
    // Exim's user must reach the queue, but only the owner can access directories of tests.
    const home = scratch.join('exim')
    await chmod(scratch.path, 0o711)
    await mkdir(join(home, 'spool'), { recursive: true })
    await mkdir(join(home, 'log'))
    await mustRun('chown', ['-R', EXIM_USER, home])
    const configuration = join(home, 'exim.conf')
    await writeFile(configuration, configurationText(home, relayPort, caFile), { mode: 0o644 })
    return new Exim(configuration, join(home, 'log', 'mainlog'))
  }

  /** Submits a message and delivers it. @throws with the log if it was not delivered. */
  async send(from: string, to: readonly string[], message: Buffer): Promise<void> {
    const args = ['-C', this.#configuration, '-odf', '-i', '-f', from, ...to]
    await mustRun(EXIM_PROGRAM, args, { input: message })
    const { stdout } = await runTool(EXIM_PROGRAM, ['-C', this.#configuration, '-bpc'])
    if (stdout.toString().trim() !== '0') throw new Error(`still queued:\n${await this.log()}`)
  }

  log(): Promise<string> {
    return readFile(this.#log, 'utf8')
  }
}

function configurationText(home: string, relayPort: number, caFile: string): string {
  return `
exim_path = ${EXIM_PROGRAM}
keep_environment =
primary_hostname = exim.sender.example
spool_directory = ${home}/spool
log_file_path = ${home}/log/%slog
exim_user = ${EXIM_USER}
never_users =
trusted_users = root
begin routers
relay:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1
  self = send
begin transports
smtp:
  driver = smtp
  port = ${relayPort}
  allow_localhost = true
  hosts_require_tls = *
  tls_verify_certificates = ${caFile}
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
begin retry
* * F,1h,1m
`
}
