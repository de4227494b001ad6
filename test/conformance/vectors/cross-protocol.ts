/** Input that is not SMTP: requests that somebody made a browser send, and TLS in clear. */
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
  notSmtp('commands in the body of POST do not run', POST),
  notSmtp('POST in a session ends it', POST, HELLO),
  notSmtp('POST in a transaction ends the session', POST, MAIL),
  ...['GET', 'HEAD', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'].map((method) =>
    notSmtp(`${method} ends the session`, `${method} / HTTP/1.1\r\nHost: x\r\n\r\n${INJECTED}`),
  ),
  notSmtp('an unknown method with a path ends the session', `FOO / HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp(
    'an unknown method with a path over the limit ends the session',
    `FOO /${'a'.repeat(3_000)} HTTP/1.1\r\n\r\n${INJECTED}`,
  ),
  notSmtp('HTTP/1.0 with LF as line end ends the session', `GET / HTTP/1.0\n\n${INJECTED}`),
  notSmtp('HTTP/0.9 ends the session', `GET /\r\n${INJECTED}`),
  notSmtp('a request with a whole URL ends the session', `GET http://mx.example.com:25/ HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('POST with a path over the limit ends the session', `POST /${'a'.repeat(3_000)} HTTP/1.1\r\n\r\n${INJECTED}`),
  // Some clients send the octets of a path unchanged.
  notSmtp('a path that is not UTF-8 ends the session', octets(`POST /\xe9\xff HTTP/1.1\r\n\r\n${INJECTED}`)),
  notSmtp('a NUL in the path ends the session', `POST /\0 HTTP/1.1\r\n\r\n${INJECTED}`),
  notSmtp('HTTP/2 ends the session', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  notSmtp('a TLS ClientHello ends the session', CLIENT_HELLO),
  notSmtp('a TLS ClientHello after EHLO ends the session', CLIENT_HELLO, HELLO),
  notSmtp(
    'commands behind a TLS ClientHello do not run',
    Buffer.concat([CLIENT_HELLO, Buffer.from(`\r\n${INJECTED}`)]),
  ),
]
