/** What is not SMTP at all: requests that a browser was made to send, and TLS in clear. */
import { Buffer } from 'node:buffer'
import { type Vector, octets } from '../vector.ts'
import { HELLO, MAIL } from './lines.ts'

const INJECTED =
  'EHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nspam\r\n.\r\nQUIT\r\n'

const POST = `POST / HTTP/1.1\r\nHost: mx.example.com:25\r\nContent-Type: text/plain\r\nContent-Length: ${INJECTED.length}\r\n\r\n${INJECTED}`

/** The first flight of OpenSSL 3 with TLS 1.3 on offer, for mx.example.com. */
const CLIENT_HELLO: Uint8Array = Buffer.from(
  '16030100c6010000c20303' +
    '3b1f6c2d5a4e8f90a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788' +
    '20' +
    '8899aabbccddeeff00112233445566778899aabbccddeeff0011223344556677' +
    '0008130213031301c02f' +
    '0100' +
    '0071' +
    '00000013001100000e6d782e6578616d706c652e636f6d' +
    '000b000403000102' +
    '000a00080006001d00170018' +
    '002300000016000000170000' +
    '000d000e000c040305030603080708080804' +
    '002b0003020304' +
    '002d00020101' +
    '003300020000',
  'hex',
) // prettier-ignore

const notSmtp = (name: string, send: string | Uint8Array, before?: readonly string[]): Vector => ({
  name,
  row: 'HTTP request line, TLS ClientHello',
  ...(before === undefined ? {} : { before }),
  send,
  expect: ['421 4.7.0'],
  end: 'closed',
  reached: [],
  kept: [],
})

export const crossProtocol: readonly Vector[] = [
  notSmtp('POST with commands in its body', POST),
  notSmtp('POST in a session', POST, HELLO),
  notSmtp('POST in a transaction', POST, MAIL),
  ...['GET', 'HEAD', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'].map((method) =>
    notSmtp(method, `${method} / HTTP/1.1\r\nHost: x\r\n\r\n${INJECTED}`),
  ),
  notSmtp('an own method', `FOO / HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('an own method, and a path over the limit', `FOO /${'a'.repeat(3_000)} HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('HTTP/1.0, lines ended by LF', `GET / HTTP/1.0\n\n${INJECTED}`),
  notSmtp('HTTP/0.9', `GET /\r\n${INJECTED}`),
  notSmtp('a whole URL', `GET http://mx.example.com:25/ HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('a path over the limit', `POST /${'a'.repeat(3_000)} HTTP/1.1\r\n\r\n${INJECTED}`),
  // Some clients send a path's octets as they are.
  notSmtp('octets that are not UTF-8', octets(`POST /\xe9\xff HTTP/1.1\r\n\r\n${INJECTED}`)),
  notSmtp('a NUL in the path', `POST /\0 HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  notSmtp('TLS ClientHello', CLIENT_HELLO),
  notSmtp('TLS ClientHello in a session', CLIENT_HELLO, HELLO),
  notSmtp('TLS ClientHello with commands behind it', Buffer.concat([CLIENT_HELLO, Buffer.from(`\r\n${INJECTED}`)])),
]
