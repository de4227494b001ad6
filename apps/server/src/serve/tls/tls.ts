/** Opens certificates from files, or creates one for this run. */
import { X509Certificate } from 'node:crypto'
import { variableOf } from '@postern/intake/settings'
import type { Logger } from '@logtape/logtape'
import type { CertificateError, KeyPair, TlsCredentials, TlsOptions } from '@postern/runtime/tls'
import type { Config } from '../../config/config.ts'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import type { Options } from '../../config/options.ts'
import { checkPair, readCertificates, readPrivateKey } from './pem.ts'
import { hasTls } from '../../config/options/tls.ts'
import type { Settings } from '../../config/settings.ts'

type KeyFiles = Pick<Config, 'tlsKey' | 'tlsCert' | 'tlsPassphrase'>

/** Opens the certificates of the listeners. Returns undefined if there is no TLS. @throws Failure if a file can't be used */
export async function openTls(settings: Settings): Promise<TlsCredentials | undefined> {
  if (!hasTls(settings.options)) return undefined
  const { TlsCredentials } = await import('@postern/runtime/tls')
  const chosen = await tlsOptions(settings)
  return usable(settings, () => new TlsCredentials(chosen))
}

/** Reads the files again for all later handshakes. @throws Failure; then the old certificates stay in use */
export async function reloadTls(settings: Settings, credentials: TlsCredentials): Promise<void> {
  const chosen = await tlsOptions(settings)
  usable(settings, () => credentials.update(chosen))
}

/** Reads CA certificates. @param option The option as the user wrote it. @throws Failure */
export async function readAuthorities(option: string, path: string): Promise<string> {
  return (await readCertificates({ option, path })).text
}

/** Warns of certificates that have expired or are not valid yet. */
export function warnOfDates(credentials: TlsCredentials, log: Logger): void {
  const { cert, sni = {} } = credentials.current.options
  const pairs: readonly (readonly [host: string | undefined, KeyPair['cert']])[] = [
    [undefined, cert],
    ...Object.entries(sni).map(([host, pair]) => [host, pair.cert] as const),
  ]
  const nowMs = Date.now()
  for (const [host, pem] of pairs) {
    const { subject, validFrom, validTo } = new X509Certificate(typeof pem === 'string' ? pem : Buffer.from(pem))
    const facts = { ...(host !== undefined && { host }), subject: subject ?? '', validFrom, validTo }
    if (Date.parse(validTo) < nowMs) log.warn('a certificate has expired', facts)
    else if (Date.parse(validFrom) > nowMs) log.warn('a certificate is not valid yet', facts)
  }
}

async function tlsOptions(settings: Settings): Promise<TlsOptions> {
  const { options, spelled } = settings
  const { selfSigned, tlsCa, clientCertificates, tlsPassphrase } = options
  const passphraseOption =
    tlsPassphrase === undefined
      ? `${spelled('tlsPassphrase')} or ${variableOf('tlsPassphrase')}`
      : spelled('tlsPassphrase')
  return {
    ...(selfSigned ? await makeKeyPair(options) : await readKeyPair(options, spelled, passphraseOption)),
    ca: tlsCa === undefined ? undefined : await readAuthorities(spelled('tlsCa'), tlsCa),
    clientCertificates,
    sni: await readHosts(settings),
  }
}

async function makeKeyPair(options: Options): Promise<KeyPair> {
  const { selfSigned } = await import('@postern/runtime/tls')
  return selfSigned({ hosts: hostsOf(options) })
}

/** Reads a key and its certificate. @param spelled Returns an option as the user wrote it */
async function readKeyPair(
  { tlsKey = '', tlsCert = '', tlsPassphrase }: KeyFiles,
  spelled: (name: 'tlsKey' | 'tlsCert') => string,
  passphraseOption: string,
): Promise<KeyPair> {
  const keyFile = { option: spelled('tlsKey'), path: tlsKey }
  const certFile = { option: spelled('tlsCert'), path: tlsCert }
  const key = await readPrivateKey(keyFile, tlsPassphrase, passphraseOption)
  const cert = await readCertificates(certFile)
  checkPair(keyFile, key, certFile, cert)
  return { key: key.text, cert: cert.text, passphrase: tlsPassphrase }
}

async function readHosts({ options, spelled }: Settings): Promise<Record<string, KeyPair>> {
  const hosts: Record<string, KeyPair> = {}
  for (const [host, files] of Object.entries(options.sni)) {
    hosts[host] = await readKeyPair(files, (name) => `${spelled('sni')}, ${host}, ${name}`, 'tlsPassphrase')
  }
  return hosts
}

/** Calls `use`, and names the files in an error if OpenSSL refuses them. */
function usable<Result>({ options, spelled }: Settings, use: () => Result): Result {
  try {
    return use()
  } catch (error) {
    if ((error as CertificateError).name !== 'CertificateError') throw error
    const files = `${spelled('tlsKey')} ${options.tlsKey} and ${spelled('tlsCert')} ${options.tlsCert}`
    const advice = /key.too.small/i.test(errorText(error)) ? '; make a key of 2048 bits, or of P-256' : ''
    throw new Failure(`${files}: ${errorText(error)}${advice}`, EXIT.misused, { cause: error })
  }
}

/** Returns the names that a client may have used to connect. */
function hostsOf(options: Options): string[] {
  const hosts = options.listen.map(({ host }) => host).filter((host) => host !== undefined)
  const named = hosts.filter((host) => host !== '0.0.0.0' && host !== '::')
  return [
    ...new Set([options.hostname.replace(/^\[(?:IPv6:)?(.*)\]$/, '$1'), 'localhost', '127.0.0.1', '::1', ...named]),
  ]
}
