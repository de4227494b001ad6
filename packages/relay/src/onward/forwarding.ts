/** Forwards mail as rules say: with a rewritten sender (SRS), so that the next server finds SPF in order, and without loops. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asciiDomain, type Envelope, type ForwardPath, Refusal, type Reply, reply } from '@postern/engine'
import type { RecipientAddress } from '@postern/intake/directory'
import type { NewCopy, Pieces } from '@postern/relay'
import type { Settings } from '../../config/settings.ts'
import { unreadable } from '../../host/failure.ts'
import { webhookDestination } from './webhooks.ts'

export interface Forwarding {
  /**
   * Makes the forwarded messages of a message: one for the recipients of one rule and one domain.
   * @throws Refusal if the message was forwarded for one of them before, or if there are too many rules
   */
  copies(mail: ForwardedMail, open: () => Pieces): Promise<readonly NewCopy[]>
  /** Returns whom a bounce to this address goes to, a refusal of a forged or old one, or undefined for an ordinary address. */
  returned(address: RecipientAddress): string | Reply | undefined
  rewriteSender(reversePath: string, forwardedBy: string): string
}

export interface ForwardedMail {
  readonly id: string
  readonly envelope: NewCopy['envelope']
  readonly forwarded: Envelope['forwardPaths']
}

/** The file in the directory of the queue with the secrets of SRS, one on each line. The first one signs, and all are accepted. */
export const SRS_FILE = 'srs-secret'
const SECRET_OCTETS = 24
const LOOP = reply(554, '5.4.6', 'Mail loop: this message was forwarded here before')
const MANY = reply(452, '4.5.3', 'Too many recipients whose mail is forwarded; send the message to fewer at a time')
const FORGED = reply(550, '5.1.1', 'No such mailbox here: this server has not written this return address')
const OLD = reply(550, '5.1.1', 'The time for returns to this address is over')
/** Each is a copy of the message on the disk. */
const MAX_COPIES = 100

/** @throws Failure */
export async function openForwarding({ options, spelled }: Settings): Promise<Forwarding> {
  const path = join(options.queue, SRS_FILE)
  const named = `${spelled('queue')} ${path}`
  const secrets = await readSecrets(options.queue, path, named)
  const { comparable, createSrs, deliveredTo } = await import('@postern/relay/signing')
  // An error names the field of SRS, and the file has nothing else.
  const srsOf = (domain: string): ReturnType<typeof createSrs> => createSrs({ domain, secrets })
  try {
    srsOf('example.com')
  } catch (error) {
    throw unreadable(named, error)
  }

  return {
    async copies({ id, envelope, forwarded }, open) {
      const groups = grouped(forwarded)
      if (groups.length > MAX_COPIES) throw new Refusal(MANY)
      const before = await deliveredTo(open())
      if (forwarded.some(({ address }) => before.has(comparable(address)))) throw new Refusal(LOOP)
      return groups.flatMap((paths, at) => [
        ...forwardedCopy(`${id}.${at + 1}`, envelope, paths, open),
        ...deliveredCopy(`${id}.${at + 1}.delivery`, envelope, paths, open),
      ])
    },
    returned({ localPart, domain }) {
      if (!/^SRS[01][=+-]/i.test(localPart) || asciiDomain(domain) === undefined) return undefined
      const found = srsOf(domain).reverse(`${localPart}@${domain}`)
      if (found.status === 'reversed') return found.address
      return found.status === 'not-srs' ? undefined : found.status === 'old' ? OLD : FORGED
    },
    rewriteSender: (reversePath, forwardedBy) => srsOf(forwardedBy).forward(reversePath),
  }
}

/** Reads the secrets, and makes one at the first start. */
async function readSecrets(directory: string, path: string, named: string): Promise<readonly string[]> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    makeSecret(path)
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  } catch (error) {
    throw unreadable(named, error)
  }
}

function makeSecret(path: string): void {
  try {
    writeFileSync(path, `${randomBytes(SECRET_OCTETS).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Groups recipients with one rule and one domain. */
function grouped(forwarded: readonly ForwardPath[]): readonly (readonly ForwardPath[])[] {
  const groups = new Map<unknown, Map<string, ForwardPath[]>>()
  for (const path of forwarded) {
    const byDomain = groups.get(path.handling) ?? new Map<string, ForwardPath[]>()
    groups.set(path.handling, byDomain)
    const domain = path.domain.toLowerCase()
    byDomain.set(domain, [...(byDomain.get(domain) ?? []), path])
  }
  return [...groups.values()].flatMap((byDomain) => [...byDomain.values()])
}

function forwardedCopy(
  id: string,
  envelope: NewCopy['envelope'],
  paths: readonly ForwardPath[],
  open: () => Pieces,
): readonly NewCopy[] {
  const [first] = paths
  const addresses = first?.handling?.forwardsTo ?? []
  if (addresses.length === 0) return []
  return [
    {
      id,
      envelope: { ...envelope, forwardedBy: asciiDomain(first?.domain ?? '') },
      recipients: addresses.map((address) => ({ address, ...wishesOf(paths) })),
      pieces: onTop(fieldsFor(paths), open()),
    },
  ]
}

/** Makes the message for servers of LMTP and webhooks. Its sender stays as it is. */
function deliveredCopy(
  id: string,
  envelope: NewCopy['envelope'],
  paths: readonly ForwardPath[],
  open: () => Pieces,
): readonly NewCopy[] {
  const recipients = (paths[0]?.handling?.deliversTo ?? []).flatMap(({ url, address }) => {
    const destination = /^https?:/.test(url) ? webhookDestination(url) : url
    return address === undefined
      ? paths.map((path) => ({ address: path.address, destination, ...wishesOf([path]) }))
      : [{ address, destination, ...wishesOf(paths) }]
  })
  if (recipients.length === 0) return []
  return [{ id, envelope, recipients, pieces: onTop(fieldsFor(paths), open()) }]
}

/** Returns the wishes of the sender: those for the first of these recipients. */
function wishesOf(paths: readonly ForwardPath[]): Pick<ForwardPath, 'notify' | 'originalRecipient'> {
  const [first] = paths
  const notify = first?.notify
  const original = paths.length === 1 ? first?.originalRecipient : undefined
  return { ...(notify !== undefined && { notify }), ...(original !== undefined && { originalRecipient: original }) }
}

function fieldsFor(paths: readonly ForwardPath[]): Uint8Array {
  return Buffer.from(paths.map(({ address }) => `Delivered-To: ${address}\r\n`).join(''))
}

async function* onTop(top: Uint8Array, pieces: Pieces): AsyncGenerator<Uint8Array, void, undefined> {
  yield top
  yield* pieces
}
