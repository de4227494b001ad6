/** Debian's Exim as a receiver. It is only unpacked, as for `../exim.ts`. It passes mail on to a sink. */
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIM_PROGRAM, EXIM_USER } from '../../kit/abilities.ts'
import { Daemon } from '../../kit/daemon.ts'
import { freePort } from '../../kit/port.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { mustRun } from '../../kit/tool.ts'
import { type Files, greets, NOBODY, PASSWORD, type Receiver, Sink, USER, writeReadable } from './receiver.ts'

export async function startExim(scratch: Scratch, files: Files): Promise<Receiver> {
  const sink = await Sink.start()
  const port = await freePort()
  const home = scratch.join('exim')
  await chmod(scratch.path, 0o755)
  await mkdir(join(home, 'spool'), { recursive: true })
  await mkdir(join(home, 'log'))
  await mustRun('chown', ['-R', EXIM_USER, home])
  // It reads the key as its own user.
  const keyFile = await writeReadable(scratch, 'exim-key.pem', await readFile(files.keyFile, 'utf8'))
  const clients = await writeReadable(scratch, 'exim-clients.pem', files.client.cert)
  const text = configurationText(home, sink.port, { ...files, keyFile }, clients)
  const configuration = await writeReadable(scratch, 'exim.conf', text)
  const daemon = new Daemon([EXIM_PROGRAM, '-C', configuration, '-bdf', '-oX', `127.0.0.1.${port}`], { isGroup: true })
  const log = (): Promise<string> => readFile(join(home, 'log', 'mainlog'), 'utf8').catch(() => '')
  await greets(port, daemon, log)
  return {
    url: `smtp://127.0.0.1:${port}`,
    taken: (recipient) => sink.taken(recipient, log),
    log,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]()
      await sink[Symbol.asyncDispose]()
    },
  }
}

/** @param clients The file of the certificates that clients may show */
function configurationText(home: string, sinkPort: number, { keyFile, certFile }: Files, clients: string): string {
  return `
exim_path = ${EXIM_PROGRAM}
keep_environment =
primary_hostname = exim.receiver.example
spool_directory = ${home}/spool
log_file_path = ${home}/log/%slog
pid_file_path = ${home}/pid
exim_user = ${EXIM_USER}
never_users =
trusted_users = root
host_lookup =
rfc1413_hosts =
tls_advertise_hosts = *
tls_certificate = ${certFile}
tls_privatekey = ${keyFile}
tls_try_verify_hosts = *
tls_verify_certificates = ${clients}
smtputf8_advertise_hosts = *
acl_smtp_rcpt = check
acl_smtp_data = accept
begin acl
check:
  deny
    recipients = ${NOBODY}
    message = no such mailbox
  accept
begin routers
relay:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1
  self = send
begin transports
smtp:
  driver = smtp
  port = ${sinkPort}
  allow_localhost = true
  hosts_avoid_tls = *
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{eq{$auth2}{${USER}}}{eq{$auth3}{${PASSWORD}}}}}
  server_set_id = $auth2
  server_advertise_condition = \${if def:tls_in_cipher}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = \${if and{{eq{$auth1}{${USER}}}{eq{$auth2}{${PASSWORD}}}}}
  server_set_id = $auth1
  server_advertise_condition = \${if def:tls_in_cipher}
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = \${if bool{$tls_in_certificate_verified}}
  server_condition = \${if eq{$auth1}{${USER}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${if eq{$auth1}{${USER}}{${PASSWORD}}fail}
  server_set_id = $auth1
`
}
