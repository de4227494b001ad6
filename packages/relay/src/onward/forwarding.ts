/** Forwards mail as rules say: with a rewritten sender (SRS), so that the next server finds SPF in order, and without loops. */
import { asciiDomain, type Envelope, type ForwardPath, Refusal, type Reply, reply } from '@postern/engine'
import type { NewCopy } from '../options.ts'
import type { ArrivalVerdict } from '../queue/entry.ts'
import { onTop, type Pieces } from '../pieces.ts'
import { comparable, createSrs, deliveredTo, type Srs } from '../signing/index.ts'

/** An address without quotes. */
interface Address {
  readonly localPart: string
  readonly domain: string
}

export interface ForwardingOptions {
  /** The secrets of SRS. The first one signs, and all are accepted. */
  readonly secrets: readonly string[]
  /** Returns the destination of a webhook in the queue. It must not show the URL, which may have a secret in it. */
  webhookDestination?(url: string): string
}

export interface Forwarding {
  /**
   * Makes the forwarded messages of a message: one for the recipients of one rule and one domain.
   * @throws Refusal if the message was forwarded for one of them before, or if there are too many rules
   */
  copies(mail: ForwardedMail, open: () => Pieces): Promise<readonly NewCopy[]>
  /** Returns whom a bounce to this address goes to, a refusal of a forged or old one, or undefined for an ordinary address. */
  returned(address: Address): string | Reply | undefined
  rewriteSender(reversePath: string, forwardedBy: string): string
}

export interface ForwardedMail {
  readonly id: string
  readonly envelope: NewCopy['envelope']
  readonly forwarded: Envelope['forwardPaths']
  /** What was found out about the message when it came. */
  readonly arrival?: ArrivalVerdict | undefined
}

const LOOP = reply(554, '5.4.6', 'Mail loop: this message was forwarded here before')
const MANY = reply(452, '4.5.3', 'Too many recipients whose mail is forwarded; send the message to fewer at a time')
const FORGED = reply(550, '5.1.1', 'No such mailbox here: this server has not written this return address')
const OLD = reply(550, '5.1.1', 'The time for returns to this address is over')
/** Each is a copy of the message on the disk. */
const MAX_COPIES = 100

/** @throws TypeError if a secret is too short */
export function createForwarding({ secrets, webhookDestination = (url) => url }: ForwardingOptions): Forwarding {
  const srsOf = (domain: string): Srs => createSrs({ domain, secrets })
  srsOf('example.com')
  return {
    async copies({ id, envelope, forwarded, arrival }, open) {
      const groups = grouped(forwarded)
      if (groups.length > MAX_COPIES) throw new Refusal(MANY)
      const before = await deliveredTo(open())
      if (forwarded.some(({ address }) => before.has(comparable(address)))) throw new Refusal(LOOP)
      return groups.flatMap((paths, at) => [
        ...forwardedCopy(`${id}.${at + 1}`, { ...envelope, arrival }, paths, open),
        ...deliveredCopy(`${id}.${at + 1}.delivery`, envelope, paths, open, webhookDestination),
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
  webhookDestination: (url: string) => string,
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
  return new TextEncoder().encode(paths.map(({ address }) => `Delivered-To: ${address}\r\n`).join(''))
}
