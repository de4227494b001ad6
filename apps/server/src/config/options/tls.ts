/** Certificates. */
import { Failure } from '../../host/failure.ts'
import { custom, oneOf, optional, parsedText, type Schema } from '../values/schema.ts'
import { type Choice, file, needs, onOff, type Option, type ValuesOf } from './row.ts'
import type { PolicyRows } from './policy.ts'
import { canAuthenticate, type UserRows } from './users.ts'
import type { WhereRows } from './where.ts'

/** The PEM files of one host name's certificate. */
export interface HostCertificate {
  readonly tlsKey: string
  readonly tlsCert: string
  readonly tlsPassphrase?: string | undefined
}

export interface TlsRows {
  /** A PEM file with the private key. */
  readonly tlsKey: Option<string, string | undefined>
  /** A PEM file with the certificate and its chain. */
  readonly tlsCert: Option<string, string | undefined>
  /** The passphrase of an encrypted `tlsKey`. */
  readonly tlsPassphrase: Option<string, string | undefined>
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

type ClientCertificates = 'none' | 'request' | 'require'
type Hosts = Readonly<Record<string, HostCertificate>>

const CERTIFICATE = 'a certificate: give --tls-key and --tls-cert, or --self-signed'
const group = 'TLS:'
/** A front makes TLS handshakes with clients too. */
const common = { group, commands: ['serve', 'front'] } as const

export const tlsRows: TlsRows = {
  tlsKey: file({ ...common, help: 'PEM file with the private key' }),
  tlsCert: file({ ...common, help: 'PEM file with the certificate and its chain' }),
  tlsPassphrase: {
    schema: optional(parsedText((passphrase) => passphrase, 'a text')),
    byDefault: undefined,
    help: 'passphrase of an encrypted key; set it by an environment variable, because other users can see flags',
    ...common,
    value: 'secret',
    secret: true,
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
  return selfSigned || tlsCert !== undefined
}

/** Checks that there is either one complete certificate or none. @throws Failure */
export function checkCertificate({ options, spelled }: Choice<TlsRows>): void {
  const { tlsKey, tlsCert, tlsPassphrase } = options
  if (tlsKey !== undefined && tlsCert === undefined) throw needs(spelled('tlsKey'), 'its certificate: give --tls-cert')
  if (tlsCert !== undefined && tlsKey === undefined) throw needs(spelled('tlsCert'), 'its key: give --tls-key')
  if (tlsPassphrase !== undefined && tlsKey === undefined)
    throw needs(spelled('tlsPassphrase'), 'a key: give --tls-key')
  if (options.selfSigned && tlsCert !== undefined) {
    throw new Failure(`${spelled('selfSigned')} and ${spelled('tlsCert')}: both give a certificate; remove one`)
  }
}

/** Checks that there is a certificate if an option needs one. @throws Failure */
export function checkNeedOfTls({ options, spelled }: Choice<TlsRows & WhereRows & UserRows & PolicyRows>): void {
  if (hasTls(options)) return
  // If all connections come from fronts, the fronts make the handshakes.
  const isPiped = options.listen.every(({ pipePath }) => pipePath !== undefined)
  if (options.tlsRequired && !isPiped) throw needs(spelled('tlsRequired'), CERTIFICATE)
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
  const listen = options.listen.find(({ implicitTls, submission }) => implicitTls || submission)
  if (listen !== undefined) throw needs(`${spelled('listen')} ${listen.url}`, CERTIFICATE)
}

function hostCertificates(): Schema<Hosts> {
  // The value has passphrases, so the error must not show it.
  return custom(
    isHostCertificates,
    'an object of host names, each with { tlsKey, tlsCert } and optionally tlsPassphrase',
  )
}

function isHostCertificates(given: unknown): given is Hosts {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  return Object.values(given).every((files: unknown) => {
    if (typeof files !== 'object' || files === null) return false
    const { tlsKey, tlsCert, tlsPassphrase, ...others } = files as Partial<HostCertificate>
    const isPassphrase = tlsPassphrase === undefined || typeof tlsPassphrase === 'string'
    return typeof tlsKey === 'string' && typeof tlsCert === 'string' && isPassphrase && Object.keys(others).length === 0
  })
}
