/** Certificates. */
import { Failure } from '../../host/failure.ts'
import { runtimeName } from '../../host/runtime.ts'
import { custom, oneOf, optional, parsedText, type Schema, text } from '../values/schema.ts'
import { type Choice, file, files, needs, onOff, type Option, type ValuesOf } from './row.ts'
import type { PolicyRows } from './policy.ts'
import { canAuthenticate, type UserRows } from './users.ts'
import type { WhereRows } from './where.ts'

/** The PEM files of one host name's certificate, or of several with keys of different types. */
export interface HostCertificate {
  readonly tlsKey: string | readonly string[]
  readonly tlsCert: string | readonly string[]
  readonly tlsPassphrase?: string | undefined
}

export interface TlsRows {
  /** A PEM file with the private key. Several files are several keys of different types, such as RSA and ECDSA. */
  readonly tlsKey: Option<string | readonly string[], readonly string[]>
  /** A PEM file with the certificate and its chain. Several files are in the order of the keys. */
  readonly tlsCert: Option<string | readonly string[], readonly string[]>
  /** The passphrase of an encrypted `tlsKey`. */
  readonly tlsPassphrase: Option<string, string | undefined>
  /** The least version of TLS. Default `TLSv1.2`. */
  readonly tlsMinVersion: Option<TlsVersion, TlsVersion>
  /** The ciphers that are allowed, as a list of OpenSSL. Default: the runtime's. */
  readonly tlsCiphers: Option<string, string | undefined>
  /** Create a certificate for this run, to try TLS. Default false. */
  readonly selfSigned: Option<boolean, boolean>
  /** Refuse mail until the connection uses TLS, on every address. Default false. */
  readonly tlsRequired: Option<boolean, boolean>
  /** A PEM file with the CA certificates that verify client certificates. Default: those of the runtime. */
  readonly tlsCa: Option<string, string | undefined>
  /** Asks clients for a certificate. With `require`, a client without a valid one can't connect. Default `none`. */
  readonly clientCertificates: Option<ClientCertificates, ClientCertificates>
  /** Other certificates by the host name that the client asks for. The `*` of `*.example.com` matches one label. */
  readonly sni: Option<Hosts, Hosts>
}

type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'
type ClientCertificates = 'none' | 'request' | 'require'
type Hosts = Readonly<Record<string, HostCertificate>>

const CERTIFICATE = 'a certificate: give --tls-key and --tls-cert, or --self-signed'
const group = 'TLS:'
/** A front makes TLS handshakes with clients too. */
const common = { group, commands: ['serve', 'front'] } as const

export const tlsRows: TlsRows = {
  tlsKey: files({ ...common, help: 'PEM file with the private key; once more for a key of another type' }),
  tlsCert: files({ ...common, help: 'PEM file with the certificate and its chain; one for each key' }),
  tlsPassphrase: {
    schema: optional(parsedText((passphrase) => passphrase, 'a text')),
    byDefault: undefined,
    help: 'passphrase of an encrypted key; set it by an environment variable, because other users can see flags',
    ...common,
    value: 'secret',
    secret: true,
  },
  tlsMinVersion: {
    schema: oneOf('TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'),
    byDefault: 'TLSv1.2',
    help: 'least version of TLS: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3',
    ...common,
    value: 'version',
  },
  tlsCiphers: {
    schema: optional(text(/^[\w+!:@=.-]{1,4096}$/, "a list of OpenSSL's names of ciphers, with colons between them")),
    byDefault: undefined,
    help: 'ciphers that are allowed, as a list of OpenSSL; not on Deno, and on Bun not those of TLS 1.3',
    ...common,
    value: 'list',
    docs: { byDefault: "the runtime's" },
  },
  selfSigned: onOff({ ...common, help: 'create a certificate for this run, to try TLS' }),
  tlsRequired: onOff({ group, help: 'refuse mail until the connection uses TLS' }),
  tlsCa: file({ ...common, help: 'PEM file with the CA certificates that verify client certificates' }),
  clientCertificates: {
    schema: oneOf('none', 'request', 'require'),
    byDefault: 'none',
    help: 'whether to ask clients for a certificate: none, request, or require one that --tls-ca verifies',
    ...common,
    value: 'policy',
  },
  sni: {
    schema: hostCertificates(),
    byDefault: {},
    help: 'other certificates by the host name that the client asks for',
    ...common,
    value: 'hosts',
    fileOnly: true,
  },
}

/** Returns whether there is a certificate, from files or created for the run. */
export function hasTls({ tlsCert, selfSigned }: Pick<ValuesOf<TlsRows>, 'tlsCert' | 'selfSigned'>): boolean {
  return selfSigned || tlsCert.length > 0
}

/** Checks that there is either one complete certificate or none. @throws Failure */
export function checkCertificate({ options, spelled }: Choice<TlsRows>): void {
  const { tlsKey, tlsCert, tlsPassphrase, sni } = options
  if (tlsKey.length > 0 && tlsCert.length === 0) throw needs(spelled('tlsKey'), 'its certificate: give --tls-cert')
  if (tlsCert.length > 0 && tlsKey.length === 0) throw needs(spelled('tlsCert'), 'its key: give --tls-key')
  if (tlsPassphrase !== undefined && tlsKey.length === 0) throw needs(spelled('tlsPassphrase'), 'a key: give --tls-key')
  checkPairs(options, spelled('tlsKey'), spelled('tlsCert'))
  for (const [host, pairs] of Object.entries(sni)) {
    const place = `${spelled('sni')}, ${host}`
    checkPairs(pairs, `${place}, tlsKey`, `${place}, tlsCert`)
    if (runtimeName === 'node' && [pairs.tlsKey].flat().length > 1) {
      throw new Failure(`${place}, tlsKey: Node uses one certificate for a host of sni; give one, or use Bun`)
    }
  }
  checkAbilities({ options, spelled })
  if (options.selfSigned && tlsCert.length > 0) {
    throw new Failure(`${spelled('selfSigned')} and ${spelled('tlsCert')}: both give a certificate; remove one`)
  }
}

function checkPairs({ tlsKey, tlsCert }: HostCertificate, nameOfKey: string, nameOfCert: string): void {
  const [keys, certs] = [[tlsKey].flat().length, [tlsCert].flat().length]
  if (keys !== certs) {
    throw new Failure(
      `${nameOfKey} and ${nameOfCert}: there are ${keys} keys and ${certs} certificates; give one certificate for each key, in the same order`,
    )
  }
  if (keys > 1 && runtimeName === 'deno') {
    throw new Failure(`${nameOfKey}: Deno uses one certificate for a host; give one, or use Node or Bun`)
  }
}

/** Checks what the runtime can do. @throws Failure */
function checkAbilities({ options: { tlsMinVersion, tlsCiphers }, spelled }: Choice<TlsRows>): void {
  if (runtimeName === 'deno') {
    if (tlsMinVersion === 'TLSv1' || tlsMinVersion === 'TLSv1.1') {
      throw new Failure(
        `${spelled('tlsMinVersion')} ${tlsMinVersion}: Deno has only TLSv1.2 and TLSv1.3; use Node or Bun for older ones`,
      )
    }
    if (tlsCiphers !== undefined)
      throw new Failure(`${spelled('tlsCiphers')}: Deno can't choose ciphers; use Node or Bun`)
  }
  const foreign = tlsCiphers?.split(':').find((word) => word.startsWith('TLS_') || word.startsWith('@'))
  if (runtimeName === 'bun' && foreign !== undefined) {
    throw new Failure(
      `${spelled('tlsCiphers')}: Bun can't choose ${foreign}; it has fixed ciphers for TLS 1.3, and no levels`,
    )
  }
}

/** Checks that there is a certificate if an option needs one. @throws Failure */
export function checkNeedOfTls({ options, spelled }: Choice<TlsRows & WhereRows & UserRows & PolicyRows>): void {
  if (hasTls(options)) return
  // If all connections come from fronts, the fronts make the handshakes.
  const isPiped = options.listen.every(({ pipePath }) => pipePath !== undefined)
  if (options.tlsRequired && !isPiped) throw needs(spelled('tlsRequired'), CERTIFICATE)
  if (options.tlsCiphers !== undefined) throw needs(spelled('tlsCiphers'), CERTIFICATE)
  if (options.tlsCa !== undefined) throw needs(spelled('tlsCa'), CERTIFICATE)
  if (options.clientCertificates !== 'none') throw needs(spelled('clientCertificates'), CERTIFICATE)
  if (Object.keys(options.sni).length > 0) throw needs(spelled('sni'), CERTIFICATE)
  checkListening({ options, spelled })
  // Accounts may serve for receiving alone, and SCRAM is offered without TLS.
  const needsSecrecy = canAuthenticate({ ...options, accounts: undefined, acceptAnyLogin: 'no' })
  if (needsSecrecy && !options.authWithoutTls && !isPiped) {
    const name = spelled(options.users.length > 0 ? 'users' : options.oauth === undefined ? 'handlers' : 'oauth')
    throw needs(name, `${CERTIFICATE}; or give --auth-without-tls to allow passwords without encryption`)
  }
}

/** Checks that there is a certificate if an address needs TLS. @throws Failure */
export function checkListening({ options, spelled }: Choice<TlsRows & WhereRows>): void {
  if (hasTls(options)) return
  const listen = options.listen.find(
    ({ implicitTls, policy, submission }) =>
      implicitTls || submission || policy.tls === 'required' || policy.tls === 'offered',
  )
  if (listen !== undefined) throw needs(`${spelled('listen')} ${listen.url}`, CERTIFICATE)
}

function hostCertificates(): Schema<Hosts> {
  // The value has passphrases, so the error must not show it.
  return custom(
    isHostCertificates,
    'an object of host names, each with { tlsKey, tlsCert } (paths, or lists of paths) and optionally tlsPassphrase',
  )
}

function isHostCertificates(given: unknown): given is Hosts {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  return Object.values(given).every((files: unknown) => {
    if (typeof files !== 'object' || files === null) return false
    const { tlsKey, tlsCert, tlsPassphrase, ...others } = files as Partial<HostCertificate>
    const isPassphrase = tlsPassphrase === undefined || typeof tlsPassphrase === 'string'
    return isPaths(tlsKey) && isPaths(tlsCert) && isPassphrase && Object.keys(others).length === 0
  })
}

function isPaths(given: unknown): given is string | readonly string[] {
  const paths: readonly unknown[] = Array.isArray(given) ? given : [given]
  return paths.length > 0 && paths.every((path) => typeof path === 'string')
}
