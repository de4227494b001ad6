/** Certificates: from files, or one made for this run. */
import { readFile } from 'node:fs/promises'
import type { CertificateError, KeyPair, TlsCredentials, TlsOptions } from '@postern/runtime/tls'
import type { Config } from './config.ts'
import { errorCode, errorText, EXIT, Failure } from './failure.ts'
import type { Options } from './options.ts'
import { hasTls } from './policy.ts'
import type { Settings } from './settings.ts'

type KeyFiles = Pick<Config, 'tlsKey' | 'tlsCert' | 'tlsPassphrase'>

/** What listeners show; undefined where there is no TLS. @throws Failure on files that can't be used. */
export async function openTls(settings: Settings): Promise<TlsCredentials | undefined> {
  if (!hasTls(settings.options)) return undefined
  const { TlsCredentials } = await import('@postern/runtime/tls')
  const chosen = await tlsOptions(settings)
  return usable(settings, () => new TlsCredentials(chosen))
}

/** Reads the files again: handshakes from now on use them. @throws Failure; the old ones then stay. */
export async function reloadTls(settings: Settings, credentials: TlsCredentials): Promise<void> {
  const chosen = await tlsOptions(settings)
  usable(settings, () => credentials.update(chosen))
}

async function tlsOptions(settings: Settings): Promise<TlsOptions> {
  const { options, spelled } = settings
  const { selfSigned, tlsCa, clientCertificates } = options
  return {
    ...(selfSigned ? await makeKeyPair(options) : await readKeyPair(options, spelled)),
    ca: tlsCa === undefined ? undefined : await readPem(spelled('tlsCa'), tlsCa),
    clientCertificates,
    sni: await readHosts(settings),
  }
}

async function makeKeyPair(options: Options): Promise<KeyPair> {
  const { selfSigned } = await import('@postern/runtime/tls')
  return selfSigned({ hosts: hostsOf(options) })
}

/** @param spelled How the user wrote the name of an option, for messages. */
async function readKeyPair(files: KeyFiles, spelled: (name: 'tlsKey' | 'tlsCert') => string): Promise<KeyPair> {
  return {
    key: await readPem(spelled('tlsKey'), files.tlsKey ?? ''),
    cert: await readPem(spelled('tlsCert'), files.tlsCert ?? ''),
    passphrase: files.tlsPassphrase,
  }
}

async function readHosts({ options, spelled }: Settings): Promise<Record<string, KeyPair>> {
  const hosts: Record<string, KeyPair> = {}
  for (const [host, files] of Object.entries(options.sni)) {
    hosts[host] = await readKeyPair(files, (name) => `${spelled('sni')}, ${host}, ${name}`)
  }
  return hosts
}

async function readPem(name: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const reason = errorCode(error) === 'ENOENT' ? 'there is no such file; name a PEM file' : errorText(error)
    throw new Failure(`${name} ${path}: ${reason}`, EXIT.misused, { cause: error })
  }
}

/** What OpenSSL refuses is named by the files that it came from. */
function usable<Result>({ options, spelled }: Settings, use: () => Result): Result {
  try {
    return use()
  } catch (error) {
    if ((error as CertificateError).name !== 'CertificateError') throw error
    const files = `${spelled('tlsKey')} ${options.tlsKey} and ${spelled('tlsCert')} ${options.tlsCert}`
    throw new Failure(
      `${files}: ${errorText(error)}; give a PEM key and the certificate that was made for it`,
      EXIT.misused,
      {
        cause: error,
      },
    )
  }
}

/** Names that a client may have used to get here. */
function hostsOf(options: Options): string[] {
  const hosts = options.listen.map(({ host }) => host).filter((host) => host !== undefined)
  const named = hosts.filter((host) => host !== '0.0.0.0' && host !== '::')
  return [
    ...new Set([options.hostname.replace(/^\[(?:IPv6:)?(.*)\]$/, '$1'), 'localhost', '127.0.0.1', '::1', ...named]),
  ]
}
