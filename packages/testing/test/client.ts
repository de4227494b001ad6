/** Clients of an inbox, for checks that run inside each runtime. */
import type { TestInbox, TestInboxOptions } from '../src/index.ts'
import { testInbox } from '../src/index.ts'
import { createTransport, type SendMailOptions, type SMTPTransportOptions } from 'nodemailer'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'

export const FROM = 'shop@sender.example'
export const TO = 'ann@receiver.example'

/** Gives a check an inbox, which is closed after it. */
export async function withInbox(options: TestInboxOptions, run: (inbox: TestInbox) => Promise<void>): Promise<void> {
  const inbox = await testInbox(options)
  try {
    await run(inbox)
  } finally {
    await inbox.close()
  }
}

/** Sends a message by nodemailer. Rejects with its error, which has the reply as `response`. */
export async function send(
  inbox: TestInbox,
  message: SendMailOptions = {},
  options: SMTPTransportOptions = {},
): Promise<void> {
  const { host, port } = inbox
  const transport = createTransport({ host, port, tls: { ca: inbox.certificate, servername: 'localhost' }, ...options })
  try {
    await transport.sendMail({ from: FROM, to: TO, subject: 'Hello', text: 'Hello', ...message })
  } finally {
    transport.close()
  }
}

/** Connects, and gives the client to a check. */
export async function withClient(inbox: TestInbox, run: (client: SocketClient) => Promise<void>): Promise<void> {
  const client = await SocketClient.connect(inbox.port)
  try {
    await run(client)
  } finally {
    client.close()
  }
}

/** Returns the code and the first line of a reply. */
export async function said(client: SocketClient, command?: string): Promise<string> {
  const { code, lines } = await (command === undefined ? client.reply() : client.command(command))
  return `${code} ${lines[0]}`
}

/** Returns the error that `work` rejects with. */
export async function errorOf(work: Promise<unknown>): Promise<Error & { readonly response?: string }> {
  try {
    await work
  } catch (error) {
    return error as Error
  }
  throw new Error('it was to reject')
}
