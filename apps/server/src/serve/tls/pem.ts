/**
 * Reads PEM files in their usual variants: with a byte order mark, CRLF, text between the blocks, key and certificate
 * in one file.
 *
 * OpenSSL, BoringSSL and Deno's own parsers accept different variants, and their errors differ. So this module finds
 * the blocks and gives the runtime only those.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { errorText, Failure, unreadable } from '../../host/failure.ts'
import { forbidden } from '../../host/permission.ts'

/** Larger than any bundle of CA certificates. */
const MAX_PEM_BYTES = 4 * 1024 * 1024

/** A file, and the option that names it, as the user wrote it. */
export interface PemFile {
  readonly option: string
  readonly path: string
}

interface Block {
  readonly label: string
  readonly text: string
}

/** A private key: its text, and the opened key. */
export interface PrivateKey {
  readonly text: string
  readonly key: KeyObject
}

/** Certificates in their order, and their text. */
export interface Certificates {
  readonly text: string
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]]
}

/**
 * Reads the first private key of a file.
 *
 * @param passphraseOption The option with the passphrase, as the user wrote it or could write it
 * @throws Failure
 */
export async function readPrivateKey(
  file: PemFile,
  passphrase: string | undefined,
  passphraseOption: string,
): Promise<PrivateKey> {
  const [block] = await readBlocks(file, (label) => label.endsWith('PRIVATE KEY'), 'private key')
  const { text } = block
  const isEncrypted = block.label === 'ENCRYPTED PRIVATE KEY' || text.includes('Proc-Type: 4,ENCRYPTED')
  if (isEncrypted && passphrase === undefined) {
    throw new Failure(`${named(file)}: the key is encrypted; give its passphrase as ${passphraseOption}`)
  }
  try {
    return { text, key: createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) }) }
  } catch (cause) {
    if (isEncrypted) {
      throw new Failure(`${named(file)}: the passphrase is wrong; check ${passphraseOption}`, undefined, { cause })
    }
    throw new Failure(`${named(file)}: the key can't be read: ${errorText(cause)}`, undefined, { cause })
  }
}

/** Reads all certificates of a file. @throws Failure */
export async function readCertificates(file: PemFile): Promise<Certificates> {
  const blocks = await readBlocks(file, (label) => label === 'CERTIFICATE', 'certificate')
  const [first, ...others] = blocks.map(({ text }, i) => {
    try {
      return new X509Certificate(text)
    } catch (cause) {
      const which = blocks.length === 1 ? 'the certificate' : `certificate ${i + 1} of ${blocks.length}`
      throw new Failure(`${named(file)}: ${which} can't be read: ${errorText(cause)}`, undefined, { cause })
    }
  })
  // There is at least one block.
  return { text: blocks.map(({ text }) => text).join(''), certificates: [first as X509Certificate, ...others] }
}

/** Checks that the first certificate belongs to the key. @throws Failure */
export function checkPair(keyFile: PemFile, { key }: PrivateKey, file: PemFile, { certificates }: Certificates): void {
  const at = certificates.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (at === 0) return
  const why =
    at < 0
      ? 'the key does not belong to the certificate'
      : `the key belongs to certificate ${at + 1} of ${certificates.length}, which must be the first in its file`
  throw new Failure(`${named(keyFile)} and ${named(file)}: ${why}`)
}

async function readBlocks(
  file: PemFile,
  isWanted: (label: string) => boolean,
  what: string,
): Promise<readonly [Block, ...Block[]]> {
  const bytes = await readWhole(file)
  const blocks = blocksOf(bytes.toString('latin1'))
  const [first, ...others] = blocks.filter(({ label }) => isWanted(label))
  if (first !== undefined) return [first, ...others]
  // DER begins with a SEQUENCE whose length takes two octets or more.
  const isDer = bytes[0] === 0x30 && bytes[1] !== undefined && bytes[1] > 0x80
  const held = [...new Set(blocks.map(({ label }) => label))].join(', ')
  const why = isDer
    ? 'it is DER or PKCS #12; convert it to PEM by openssl'
    : held === ''
      ? 'name a PEM file'
      : `it contains ${held}`
  throw new Failure(`${named(file)}: there is no ${what} in PEM; ${why}`)
}

/** Returns the blocks, without text between them. A block without an end is ignored. */
function blocksOf(text: string): Block[] {
  const blocks: Block[] = []
  let label: string | undefined
  let lines: string[] = []
  for (const given of text.split('\n')) {
    const line = given.trim()
    // There may be a byte order mark before the first block.
    const [, begun] = /-----BEGIN ([A-Z0-9 ]{1,64})-----$/.exec(line) ?? []
    if (begun !== undefined) {
      label = begun
      lines = [`-----BEGIN ${begun}-----`]
    } else if (label !== undefined) {
      lines.push(line)
      if (line !== `-----END ${label}-----`) continue
      blocks.push({ label, text: `${lines.join('\n')}\n` })
      label = undefined
    }
  }
  return blocks
}

async function readWhole(file: PemFile): Promise<Buffer> {
  try {
    // Opening a FIFO would wait for a writer.
    const { size, isFile } = await stat(file.path).then((stats) => ({ size: stats.size, isFile: stats.isFile() }))
    if (!isFile) throw new Failure(`${named(file)}: it is not a regular file; name a PEM file`)
    if (size > MAX_PEM_BYTES) throw new Failure(`${named(file)}: it has ${size} bytes, too many for a PEM file`)
    if (size === 0) throw new Failure(`${named(file)}: the file is empty`)
    return await readFile(file.path)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw forbidden(error) ?? unreadable(named(file), error, 'name a PEM file')
  }
}

function named({ option, path }: PemFile): string {
  return `${option} ${path}`
}
