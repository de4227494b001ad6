/** Certificates for tests. Each is its own authority. Needs no test runner, and runs on Node, Deno and Bun. */
import { writeFile } from 'node:fs/promises'
import { selfSigned, type SelfSignedCertificate, type SelfSignedOptions } from '@postern/runtime/tls'

let made: Promise<SelfSignedCertificate> | undefined

/** Returns the certificate for localhost that all tests of this process share. */
export function sharedCertificate(): Promise<SelfSignedCertificate> {
  made ??= selfSigned()
  return made
}

/** Makes a key and a certificate, and writes them as PEM to these files. @returns what the files hold */
export async function writeCertificate(
  keyFile: string,
  certFile: string,
  options?: SelfSignedOptions,
): Promise<SelfSignedCertificate> {
  const made = await selfSigned(options)
  await writeFile(keyFile, made.key, { mode: 0o600 })
  await writeFile(certFile, made.cert)
  return made
}
