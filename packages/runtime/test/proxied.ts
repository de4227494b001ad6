/** A client behind a proxy that speaks the PROXY protocol: a header in clear, then TLS from the first byte. */
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'

export const HEADER = 'PROXY TCP4 192.0.2.7 192.0.2.1 4711 465\r\n'

/** Writes the header and the ClientHello piece by piece. */
export type Sending = (
  header: Uint8Array,
  clientHello: Uint8Array,
  write: (bytes: Uint8Array) => void,
) => void | Promise<void>

/** Makes TLS behind a header. */
export function connectBehindProxy(port: number, host: string, ca: string, send: Sending): TLSSocket {
  const raw = connect({ port, host, noDelay: true })
  let isFirst = true
  const stream = new Duplex({
    read: () => void raw.resume(),
    write(chunk: Uint8Array, _, done) {
      if (!isFirst) return void raw.write(chunk, () => done())
      isFirst = false
      void Promise.resolve(send(Buffer.from(HEADER), chunk, (bytes) => raw.write(bytes))).then(() => done())
    },
    final: (done) => void raw.end(done),
    destroy(error, done) {
      raw.destroy()
      done(error)
    },
  })
  raw.on('data', (chunk: Uint8Array) => {
    if (!stream.push(chunk)) raw.pause()
  })
  raw.on('end', () => stream.push(null))
  raw.on('error', (error) => stream.destroy(error))
  return connectTls({ socket: stream, ca, servername: 'localhost' })
}
