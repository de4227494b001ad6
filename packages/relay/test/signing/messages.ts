/** Messages to sign, signed, and verified by mailauth. */
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { AWKWARD } from '../../../../test/corpus/messages.ts'
import { type Job, run, type Signed } from './job.ts'
import { type KeySet, makeKeys } from './keys.ts'

export const NOW_MS: number = Date.UTC(2026, 11, 1)
/** dkimpy does not know the obsolete syntax of RFC 5322 4.5.3. */
export const BLANK_BEFORE_COLON = 'a blank before a colon'
export const ADDRESS = 'From: Ann <ann@sender.example>'

export const MESSAGES: readonly (readonly [name: string, bytes: Buffer])[] = [
  ...AWKWARD.map(({ name, bytes }) => [name, bytes] as const),
  ['only LF', Buffer.from(`${ADDRESS}\nSubject: unix\n folded\n\nline \n\n\tmore\t\n\n\n`)],
  [
    'folded and blank fields',
    Buffer.from(`${ADDRESS}\r\nSubject:\t a \r\n\t b  \r\nTo: x@y.example\r\nCC:\r\n\r\nx\r\n`),
  ],
  [BLANK_BEFORE_COLON, Buffer.from(`${ADDRESS}\r\nTo : x@y.example\r\nSubject\t:x\r\n\r\nx\r\n`)],
  ['8-bit header', Buffer.from(`From: Änn <ann@sender.example>\r\nSubject: Grüße \xa0\r\n\r\nπ \u00a0\r\n`)],
  ['many of a kind', Buffer.from(`Resent-From: a@b.example\r\nResent-From: c@d.example\r\n${ADDRESS}\r\n\r\n`)],
  ['a blank in front of the body', Buffer.from(`${ADDRESS}\r\n\r\n  \r\n \r\nlast \r`)],
]

/** Keys for the domain of the messages. */
export const keys: Promise<KeySet> = makeKeys('sender.example')

/** Makes the job of signing all messages, in chunks of so many octets. */
export async function jobOf(chunk: number): Promise<Job> {
  const { given } = await keys
  return { nowMs: NOW_MS, keys: given, messages: MESSAGES.map(([, bytes]) => bytes.toString('base64')), chunk }
}

/** Puts the fields on top, and ends the lines of the message as they are sent. */
export function signedBytes({ fields }: { readonly fields: string }, message: Uint8Array): Buffer {
  const text = Buffer.from(message).toString('latin1')
  return Buffer.from(fields + text.replaceAll(/\r?\n/g, '\r\n'), 'latin1')
}

/** Returns the signed messages by their names. */
export async function signedMessages(): Promise<(readonly [name: string, bytes: Buffer])[]> {
  const results = await run(await jobOf(7))
  return MESSAGES.flatMap(([name, bytes], at) => {
    const result = results[at] as Signed
    return 'fields' in result ? [[name, signedBytes(result, bytes)] as const] : []
  })
}

/** Verifies by mailauth. @returns the result of each signature */
export async function verified(bytes: Buffer, { records }: KeySet): Promise<string[]> {
  const resolver = async (name: string): Promise<string[][]> => {
    const record = records[name]
    if (record === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    return [[record]]
  }
  const { results } = await dkimVerify(bytes, { resolver, strict: true })
  return results.map(({ status }) => status.result)
}
