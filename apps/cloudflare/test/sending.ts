/** Messages with known bytes, and a client that sends them unchanged. */
import { randomBytes } from 'node:crypto'
import { createTransport, type SendMailOptions, type SMTPTransportOptions } from 'nodemailer'
import { idIn } from '../../../test/peers/store.ts'

export const FROM = 'ann@sender.example'
export const TO = 'bob@example.com'

/** With dots at the beginnings of lines, octets of every value that text may have, and no end of a line that is not CRLF. */
export function message(byteLength = 1_000): Buffer {
  const head = `From: <${FROM}>\r\nTo: <${TO}>\r\nMessage-ID: <${randomBytes(8).toString('hex')}@sender.example>\r\n\r\n.\r\n..x\r\n`
  const line = Buffer.from(Array.from({ length: 76 }, (_, index) => (index < 2 ? 0x2e : 0x80 + index)).concat(13, 10))
  return Buffer.concat([Buffer.from(head), ...Array<Buffer>(Math.ceil(byteLength / line.length)).fill(line)])
}

/**
 * Sends with nodemailer.
 * @returns the id of the stored message
 */
export async function send(
  port: number,
  raw: Buffer,
  options: SMTPTransportOptions & Pick<SendMailOptions, 'dsn'> & { from?: string; to?: string } = {},
): Promise<string> {
  const { from = FROM, to = TO, dsn, ...more } = options
  const transport = createTransport({ host: '127.0.0.1', port, ...more })
  const { response } = await transport.sendMail({ envelope: { from, to }, raw, ...(dsn !== undefined && { dsn }) })
  return idIn(response)
}
