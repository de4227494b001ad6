/** Debian's Postfix as a receiver. It asks Dovecot about logins, and passes mail on to a sink. */
import type { Scratch } from '../../kit/scratch.ts'
import { Postfix } from '../postfix.ts'
import type { DovecotReceiver } from './dovecot.ts'
import { type Files, NOBODY, type Receiver, Sink } from './receiver.ts'

export async function startPostfix(scratch: Scratch, files: Files, logins: DovecotReceiver): Promise<Receiver> {
  const sink = await Sink.start()
  const postfix = await Postfix.start(scratch, {
    relayPort: sink.port,
    caFile: files.certFile,
    settings: {
      smtp_tls_security_level: 'none',
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: files.certFile,
      smtpd_tls_key_file: files.keyFile,
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: `inet:127.0.0.1:${logins.authPort}`,
      smtpd_sasl_security_options: 'noanonymous',
      smtpd_recipient_restrictions: `check_recipient_access inline:{{${NOBODY} = REJECT no such mailbox}}, permit_mynetworks, reject`,
    },
  })
  const log = (): Promise<string> => postfix.log()
  return {
    url: `smtp://127.0.0.1:${postfix.port}`,
    taken: (recipient) => sink.taken(recipient, log),
    log,
    async [Symbol.asyncDispose]() {
      await postfix[Symbol.asyncDispose]()
      await sink[Symbol.asyncDispose]()
    },
  }
}
