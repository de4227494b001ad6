/** Shared by the tests of TLS on Node: a listener with certificates, and clients of it. */
import type { Duplex, Endpoint } from '@postern/engine'
import { X509Certificate } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { dial, type DialTlsOptions, type ListenOptions } from '../src/node/index.ts'
import { certificate, Hall } from './harness.ts'
import type { Place } from './remote.ts'

export const host = '127.0.0.1'

/** A listener under test. */
export interface Opened {
  readonly port: number
  readonly hall: Hall
  /** The errors that the listener reported. */
  readonly errors: { message: string; remote: Endpoint | undefined }[]
}

export async function open(place: Place, options: Omit<ListenOptions, 'port'>): Promise<Opened> {
  const hall = new Hall()
  const errors: Opened['errors'] = []
  const listener = await place.listen(hall, {
    port: 0,
    host,
    implicitTls: true,
    ...options,
    error: ({ message }, remote) => errors.push({ message, remote }),
  })
  onTestFinished(() => listener.close())
  return { hall, port: listener.address.port, errors }
}

export async function call(port: number, tls: DialTlsOptions = { ca: certificate.cert }): Promise<Duplex> {
  const duplex = await dial({ host, port, tls, implicitTls: true })
  onTestFinished(() => duplex.destroy())
  return duplex
}

/** Returns the SHA-256 of a certificate, as a handshake reports it. */
export function fingerprint({ cert }: { cert: string }): string {
  return new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()
}

export function shown(duplex: Duplex): string | undefined {
  return duplex.tls?.peerCertificate?.fingerprint
}
