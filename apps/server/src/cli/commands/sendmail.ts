/** `postern sendmail`: takes the flags of sendmail, and hands the message to a server. For cron, PHP, mutt and other programs. */
import { userInfo } from 'node:os'
import process from 'node:process'
import { Readable, Writable } from 'node:stream'
import { createServer, dsn, type DsnNotify, reply } from '@postern/engine'
import { ClientError, type OutgoingEnvelope, type OutgoingRecipient } from '@postern/engine/client'
import { fromWebStreams } from '@postern/runtime/web'
import { errorText, Failure } from '../../host/failure.ts'
import { parseSendmail, type SendmailFlags } from '../sending/sendmail-flags.ts'
import { connectTo, type ServerFlags, submit } from '../sending/submit.ts'
import { SYSEXIT } from '../sending/sysexits.ts'
import { readWhole } from '../sending/whole.ts'
import { nameOfMachine } from './send.ts'

/** @param submitTo The URL of the server. Returns the exit code, one of sysexits(3). */
export async function sendmail(args: readonly string[], submitTo: string): Promise<number> {
  const flags = parseSendmail(args)
  const hostname = nameOfMachine()
  const to: ServerFlags = { submitTo, hostname, verbose: flags.verbose }
  if (flags.isServer) return serveStandardInput(to)
  if (flags.runsQueue && !flags.readsRecipients && flags.recipients.length === 0) return SYSEXIT.ok
  const self = `${userInfo().username}@${hostname}`
  const message = await readWhole(process.stdin, {
    endsAtDot: !flags.ignoresDots,
    readsRecipients: flags.readsRecipients,
    removesBcc: flags.readsRecipients,
    from: authorOf(flags, self),
    hostname,
  })
  const forwardPaths = [...flags.recipients, ...message.recipients].map((address) =>
    recipient(qualified(address, hostname), flags),
  )
  if (forwardPaths.length === 0) throw new Failure('sendmail: no recipient is given', SYSEXIT.usage)
  const { ret, envelopeId } = flags
  const envelope: OutgoingEnvelope = {
    reversePath: flags.from === undefined ? self : qualified(flags.from, hostname),
    forwardPaths,
    ...(ret !== undefined && { ret }),
    ...(envelopeId !== undefined && { envelopeId }),
  }
  return submit(to, envelope, message.bytes, { quiet: true })
}

function authorOf({ from, fullName }: SendmailFlags, self: string): string {
  const address = from === undefined || from === '' ? self : from
  if (fullName === undefined) return address
  return `"${fullName.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}" <${address}>`
}

/** Programs such as cron write to users of this machine by their names alone. */
function qualified(address: string, hostname: string): string {
  return address === '' || address.includes('@') ? address : `${address}@${hostname}`
}

function recipient(address: string, { notify }: SendmailFlags): OutgoingRecipient {
  return { address, ...(notify !== undefined && { notify }) }
}

/** Speaks SMTP on standard input and output (`-bs`), and hands each message on before it is answered. */
async function serveStandardInput(to: ServerFlags): Promise<number> {
  const server = createServer({
    hostname: to.hostname,
    banner: 'Postern sendmail',
    extensions: [dsn],
    async data(message) {
      const { reversePath, forwardPaths, ret, envelopeId, body, smtpUtf8 } = message.envelope
      const envelope: OutgoingEnvelope = {
        reversePath: reversePath.address,
        forwardPaths: forwardPaths.map(({ address, notify }) => ({
          address,
          ...(notify !== undefined && { notify: notify as readonly DsnNotify[] }),
        })),
        bodyType: body,
        smtpUtf8,
        ...(ret !== undefined && { ret }),
        ...(envelopeId !== undefined && { envelopeId }),
      }
      try {
        const client = await connectTo(to)
        try {
          const sent = await client.send(envelope, message.body)
          const refused = sent.recipients.find(({ isAccepted }) => !isAccepted)
          const { code, enhancedCode, text } = refused?.reply ?? sent.reply
          return reply(code, enhancedCode, text)
        } finally {
          await client.quit().catch(() => {})
        }
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        const { code = error.isTemporary ? 451 : 554, enhancedCode = '' } = error
        return reply(code >= 400 ? code : 451, enhancedCode, errorText(error))
      }
    },
  })
  const duplex = fromWebStreams({
    readable: Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>,
    writable: Writable.toWeb(process.stdout) as WritableStream<Uint8Array>,
  })
  await server.accept(duplex)
  return SYSEXIT.ok
}
