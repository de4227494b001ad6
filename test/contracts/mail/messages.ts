/** Messages and sessions for the tests, and ids of any time. */
import { randomBytes } from 'node:crypto'
import { type Message, MessageError } from '@postern/engine'
import type { IncomingMail, IncomingSession, MailStore } from '@postern/storage'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Makes a ULID of this time. The rest is random, or the given number. */
export function idAt(time: number | string, count?: number): string {
  let rest = typeof time === 'string' ? Date.parse(time) : time
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = ALPHABET.charAt(rest % 32) + head
    rest = Math.floor(rest / 32)
  }
  if (count === undefined) return head + [...randomBytes(16)].map((byte) => ALPHABET.charAt(byte % 32)).join('')
  let tail = ''
  for (let left = count, i = 0; i < 16; i++, left = Math.floor(left / 32)) tail = ALPHABET.charAt(left % 32) + tail
  return head + tail
}

export const TRACE: Uint8Array = bytesOf('Received: from client by mx.example.com; Sat, 21 Nov 2026 05:42:00 +0000\r\n')

export const SESSION: IncomingSession = {
  id: '01KASJ0000000000000000SESS',
  remote: { family: 'ipv4', address: '192.0.2.7', port: 50_123 },
  local: { family: 'ipv6', address: '2001:db8::1', port: 25 },
  tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', serverName: 'mx.example.com' },
  hello: { verb: 'EHLO', name: '[192.0.2.7]' },
  transmissionType: 'ESMTPSA',
  user: 'ann',
}

/** A message whose chunks all lie in one buffer that is reused, as the engine's are. */
export function messageOf(id: string, chunks: readonly (Uint8Array | Error)[], later = false): IncomingMail {
  const longest = Math.max(0, ...chunks.map((chunk) => (chunk instanceof Error ? 0 : chunk.length)))
  // Longer than each chunk, as the engine's buffer is.
  const shared = new Uint8Array(longest + 1024)
  const iterator = chunks.values()
  function read(): Uint8Array | null {
    shared.fill(0xee)
    const next = iterator.next()
    if (next.done === true) return null
    if (next.value instanceof Error) throw next.value
    shared.set(next.value)
    return shared.subarray(0, next.value.length)
  }
  return {
    id,
    receivedAt: new Date('2026-11-21T05:42:07.123Z'),
    trace: TRACE,
    envelope: {
      reversePath: {
        address: 'ann@example.org',
        localPart: 'ann',
        domain: 'example.org',
        parameters: new Map([
          ['SIZE', '12'],
          ['AUTH', 'ann'],
        ]),
        malformedParameters: ['AUTH'],
      },
      forwardPaths: [
        {
          address: '"b c"@[192.0.2.1]',
          localPart: 'b c',
          domain: '[192.0.2.1]',
          literal: { family: 'ipv4', address: '192.0.2.1' },
          parameters: new Map([['NOTIFY', 'FAILURE']]),
          notify: ['FAILURE'],
          originalRecipient: { addressType: 'rfc822', address: 'b@example.com' },
        },
      ],
      body: '8BITMIME',
      smtpUtf8: false,
      ret: 'HDRS',
      envelopeId: 'QQ314159',
    },
    read: later ? () => Promise.resolve().then(read) : read,
  }
}

/** Makes the message that the engine's hook gets, as far as `keep` uses it. */
export function hookMessageOf(id: string, chunks: readonly (Uint8Array | Error)[]): Message {
  return messageOf(id, chunks) as Message
}

export function saveText(
  store: MailStore,
  id: string,
  text = `Subject: ${id}\r\n\r\nhello\r\n`,
): ReturnType<MailStore['save']> {
  return store.save(messageOf(id, [bytesOf(text)]), SESSION)
}

export const ABORTED: MessageError = new MessageError('aborted')

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
