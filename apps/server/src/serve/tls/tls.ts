/** Opens certificates from files, or creates one for this run. */
import { variableOf } from '@postern/intake/settings'
import type { CertificateError, KeyPair, KeyPairs, TlsCredentials, TlsOptions } from '@postern/runtime/tls'
import type { Config } from '../../config/config.ts'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import type { Options } from '../../config/options.ts'
import { checkPair, type PemFile, readCertificates, readPrivateKey } from './pem.ts'
import { hasTls } from '../../config/options/tls.ts'
import type { Settings } from '../../config/settings.ts'

/** The files of one host. */
type KeyFiles = Pick<Config, 'tlsKey' | 'tlsCert' | 'tlsPassphrase'>

/** Opens the certificates of the listeners. Returns undefined if there is no TLS. @throws Failure if a file can't be used */
export async function openTls(settings: Settings): Promise<TlsCredentials | undefined> {
  if (!hasTls(settings.options)) return undefined
  const { TlsCredentials } = await import('@postern/runtime/tls')
  const chosen = await tlsOptions(settings)
  return usable(settings, () => new TlsCredentials(chosen))
}

/**
 * Reads the files again for all later handshakes. Returns false if nothing in them has changed.
 * @throws Failure; then the old certificates stay in use
 */
export async function reloadTls(settings: Settings, credentials: TlsCredentials): Promise<boolean> {
  const used = credentials.current.options
  const chosen = await tlsOptions(settings, used)
  if (JSON.stringify(chosen) === JSON.stringify(used)) return false
  usable(settings, () => credentials.update(chosen))
  return true
}

/** Reads CA certificates. @param option The option as the user wrote it. @throws Failure */
export async function readAuthorities(option: string, path: string): Promise<string> {
  return (await readCertificates({ option, path })).text
}

/** @param used The options until now. A certificate that was made for this run stays. */
async function tlsOptions(settings: Settings, used?: TlsOptions): Promise<TlsOptions> {
  const { options, spelled } = settings
  const { selfSigned, tlsCa, clientCertificates, tlsPassphrase, tlsMinVersion, tlsCiphers } = options
  const passphraseOption =
    tlsPassphrase === undefined
      ? `${spelled('tlsPassphrase')} or ${variableOf('tlsPassphrase')}`
      : spelled('tlsPassphrase')
  return {
    ...(selfSigned
      ? (pairsOf(used) ?? (await makeKeyPair(options)))
      : await readKeyPairs(options, spelled, passphraseOption)),
    ca: tlsCa === undefined ? undefined : await readAuthorities(spelled('tlsCa'), tlsCa),
    clientCertificates,
    minVersion: tlsMinVersion,
    ...(tlsCiphers !== undefined && { secureContext: { ciphers: tlsCiphers } }),
    sni: await readHosts(settings),
  }
}

function pairsOf(used: TlsOptions | undefined): KeyPair | undefined {
  return used && { key: used.key, cert: used.cert }
}

async function makeKeyPair(options: Options): Promise<KeyPair> {
  const { selfSigned } = await import('@postern/runtime/tls')
  return selfSigned({ hosts: hostsOf(options) })
}

/** Reads keys and their certificates. @param spelled Returns an option as the user wrote it */
async function readKeyPairs(
  { tlsKey = [], tlsCert = [], tlsPassphrase }: KeyFiles,
  spelled: (name: 'tlsKey' | 'tlsCert') => string,
  passphraseOption: string,
): Promise<KeyPairs> {
  // checkCertificate has checked that there are as many certificates as keys.
  const certFiles = [tlsCert].flat().map((path) => ({ option: spelled('tlsCert'), path }))
  const types = new Map<string | undefined, PemFile>()
  const pairs: KeyPair[] = []
  for (const [i, path] of [tlsKey].flat().entries()) {
    const keyFile = { option: spelled('tlsKey'), path }
    const certFile = certFiles[i] as PemFile
    const key = await readPrivateKey(keyFile, tlsPassphrase, passphraseOption)
    const cert = await readCertificates(certFile)
    checkPair(keyFile, key, certFile, cert)
    const type = key.key.asymmetricKeyType
    const other = types.get(type)
    if (other !== undefined) {
      throw new Failure(
        `${keyFile.option} ${other.path} and ${path}: both keys are ${type}; a client can get only one of them`,
      )
    }
    types.set(type, keyFile)
    pairs.push({ key: key.text, cert: cert.text, passphrase: tlsPassphrase })
  }
  const [first, ...others] = pairs
  // hasTls has checked that there is one.
  return { ...(first as KeyPair), ...(others.length > 0 && { others }) }
}

async function readHosts({ options, spelled }: Settings): Promise<Record<string, KeyPairs>> {
  const hosts: Record<string, KeyPairs> = {}
  for (const [host, files] of Object.entries(options.sni)) {
    hosts[host] = await readKeyPairs(files, (name) => `${spelled('sni')}, ${host}, ${name}`, 'tlsPassphrase')
  }
  return hosts
}

/** Calls `use`, and names the files in an error if OpenSSL refuses them. */
function usable<Result>({ options, spelled }: Settings, use: () => Result): Result {
  try {
    return use()
  } catch (error) {
    if ((error as CertificateError).name !== 'CertificateError') throw error
    const { tlsKey, tlsCert, tlsCiphers } = options
    if (tlsCiphers !== undefined && /no.cipher.match|invalid.command/i.test(errorText(error))) {
      throw new Failure(`${spelled('tlsCiphers')} ${tlsCiphers}: ${NO_CIPHER}`, EXIT.misused, { cause: error })
    }
    const files = `${spelled('tlsKey')} ${tlsKey.join(', ')} and ${spelled('tlsCert')} ${tlsCert.join(', ')}`
    const advice = /key.too.small/i.test(errorText(error)) ? '; make a key of 2048 bits, or of P-256' : ''
    throw new Failure(`${files}: ${errorText(error)}${advice}`, EXIT.misused, { cause: error })
  }
}

const NO_CIPHER = 'it allows no cipher of this runtime; `openssl ciphers` lists names'

/** Returns the names that a client may have used to connect. */
function hostsOf(options: Options): string[] {
  const hosts = options.listen.map(({ host }) => host).filter((host) => host !== undefined)
  const named = hosts.filter((host) => host !== '0.0.0.0' && host !== '::')
  return [
    ...new Set([options.hostname.replace(/^\[(?:IPv6:)?(.*)\]$/, '$1'), 'localhost', '127.0.0.1', '::1', ...named]),
  ]
}
