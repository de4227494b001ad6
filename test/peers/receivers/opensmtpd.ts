/**
 * Debian's OpenSMTPD as a receiver. Its package conflicts with Postfix, so it is only unpacked. Its directories and users are compiled into
 * it, so it runs where it sees its own: in a namespace of mounts. It passes mail on to a sink.
 * It has no TLS here, and so no logins: with OpenSSL 3, Debian's version breaks off each handshake (OpenSMTPD's issue 1171).
 */
import { writeFile } from 'node:fs/promises'
import { OPENSMTPD_ROOT } from '../../kit/abilities.ts'
import { Daemon } from '../../kit/daemon.ts'
import { freePort } from '../../kit/port.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { greets, NOBODY, type Receiver, Sink } from './receiver.ts'

export async function startOpensmtpd(scratch: Scratch): Promise<Receiver> {
  const sink = await Sink.start()
  const port = await freePort()
  const configuration = scratch.join('smtpd.conf')
  await writeFile(configuration, configurationText(port, sink.port))
  const script = namespaceScript(scratch.path, configuration)
  const daemon = new Daemon(['unshare', '-m', '--pid', '--fork', '--kill-child', 'sh', '-ec', script], {
    isGroup: true,
  })
  const log = async (): Promise<string> => daemon.output
  await greets(port, daemon, log)
  return {
    url: `smtp://127.0.0.1:${port}`,
    taken: (recipient) => sink.taken(recipient, log),
    log,
    async [Symbol.asyncDispose]() {
      // The first process of a namespace does not end by SIGTERM.
      daemon.signal('SIGKILL')
      await daemon[Symbol.asyncDispose]()
      await sink[Symbol.asyncDispose]()
    },
  }
}

/** Gives the program its users, its directories and its helpers, and starts it. */
function namespaceScript(home: string, configuration: string): string {
  return `
for name in passwd group; do cp /etc/$name ${home}/$name; done
for name in opensmtpd:54321 opensmtpq:54322; do
  echo "\${name%:*}:x:\${name#*:}:\${name#*:}::/nonexistent:/usr/sbin/nologin" >>${home}/passwd
  echo "\${name%:*}:x:\${name#*:}:" >>${home}/group
done
for name in passwd group; do mount --bind ${home}/$name /etc/$name; done
for directory in /var/spool /var/lib /run; do mount -t tmpfs tmpfs $directory; done
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
mount --bind ${OPENSMTPD_ROOT}/usr/libexec /usr/libexec
exec ${OPENSMTPD_ROOT}/usr/sbin/smtpd -d -f ${configuration}
`
}

function configurationText(port: number, sinkPort: number): string {
  return `
listen on 127.0.0.1 port ${port} hostname "opensmtpd.receiver.example"
action "out" relay host "smtp://127.0.0.1:${sinkPort}"
match from any for rcpt-to "${NOBODY}" reject
match from any for any action "out"
`
}
