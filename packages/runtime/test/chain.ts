/** Makes a root, an authority below it, and the certificate of a server. Needs no test runner, and runs on Node, Deno and Bun. */
import type { webcrypto } from 'node:crypto'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

export interface ChainOptions {
  /** Host names of the server. */
  readonly hosts?: readonly string[]
  readonly notAfter?: Date
  /** The authority may not sign certificates. Default false. */
  readonly isPlain?: boolean
}

export interface Made {
  readonly certificate: x509.X509Certificate
  readonly der: Uint8Array
  readonly keys: webcrypto.CryptoKeyPair
}

export interface Chain {
  readonly root: Made
  readonly authority: Made
  readonly server: Made
  /** The server's key, and all three certificates, the server's first: PEM. */
  readonly key: string
  readonly cert: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

export async function makeChain({
  hosts = ['mx.example.test'],
  notAfter,
  isPlain = false,
}: ChainOptions = {}): Promise<Chain> {
  const root = await make('root', undefined, [new x509.BasicConstraintsExtension(true, undefined, true)])
  const authority = await make('authority', root, [new x509.BasicConstraintsExtension(!isPlain, undefined, true)])
  const names = hosts.map((value) => ({ type: 'dns' as const, value }))
  const server = await make('server', authority, [new x509.SubjectAlternativeNameExtension(names)], notAfter)
  const key = await crypto.subtle.exportKey('pkcs8', server.keys.privateKey)
  const cert = [server, authority, root].map(({ certificate }) => `${certificate.toString('pem')}\n`).join('')
  return { root, authority, server, key: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`, cert }
}

async function make(
  name: string,
  issuer: Made | undefined,
  extensions: x509.Extension[],
  notAfter: Date = new Date(Date.now() + 24 * HOUR_MS),
): Promise<Made> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: `CN=${name}`,
      issuer: issuer?.certificate.subject ?? `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: issuer?.keys.privateKey ?? keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - 48 * HOUR_MS),
      notAfter,
      extensions,
    },
    crypto,
  )
  return { certificate, der: new Uint8Array(certificate.rawData), keys }
}
