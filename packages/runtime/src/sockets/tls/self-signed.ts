/** Makes a certificate to try out TLS. A client trusts it only if it gets the certificate as `ca`. */
import { isIP } from 'node:net'

export interface SelfSignedOptions {
  /** Host names and IP addresses. Default localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[]
  /** How many days it is valid, from now. Default 365. */
  readonly days?: number
}

/** Both are PEM, in the form that `tls` of `listen` takes. */
export interface SelfSignedCertificate {
  readonly key: string
  readonly cert: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

/** Makes an ECDSA P-256 key and a certificate for it. @throws RangeError */
export async function selfSigned(options: SelfSignedOptions = {}): Promise<SelfSignedCertificate> {
  const { hosts = ['localhost', '127.0.0.1', '::1'], days = 365 } = options
  const [first] = hosts
  if (first === undefined) throw new RangeError('hosts: at least one')
  if (!(days > 0)) throw new RangeError(`days: ${days} is not more than 0`)
  // Loads the library and its polyfill only when somebody wants a certificate.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      // RFC 5280 A.1: at most 64 characters. A client that checks a host name reads the alternative names.
      name: [{ CN: [first.slice(0, 64)] }],
      keys,
      signingAlgorithm: ALGORITHM,
      // The client's clock may be behind.
      notBefore: new Date(now - HOUR_MS),
      notAfter: new Date(now + days * 24 * HOUR_MS),
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          hosts.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    },
    crypto,
  )
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { key: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`, cert: `${certificate.toString('pem')}\n` }
}
