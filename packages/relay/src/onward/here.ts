/** Keeps mail that the relay has for this server itself: reports to its users. */
import { type ForwardPath, idMaker } from '@postern/engine'
import { type IncomingMail, type IncomingSession, type MailStore, refuseUnknown, summarized } from '@postern/storage'
import type { KeptHere, MailHere } from '../options.ts'
import type { QueueEnvelope } from '../queue/entry.ts'

/** An address without quotes. */
interface Address {
  readonly localPart: string
  readonly domain: string
}

export interface HereDeps {
  readonly store: MailStore
  /** Adds the summary of each message to its record. Default: false. */
  readonly summary?: boolean
  /** Reads an address; undefined if it is none. */
  parseAddress(address: string): Address | undefined
  /** Returns the accounts that receive mail for an address; undefined if it has no mailbox. Default: each address has one, without accounts. */
  accountsOf?(address: Address): Promise<readonly string[] | undefined>
}

const NOWHERE = { family: 'unknown', address: '', port: 0 } as const
/** The session of mail that this server has made. */
const OURSELVES: IncomingSession = {
  id: 'relay',
  remote: NOWHERE,
  local: NOWHERE,
  tls: undefined,
  hello: undefined,
  user: undefined,
  transmissionType: 'ESMTP',
}
const NOTHING = new Uint8Array(0)
const NO_MAILBOX: KeptHere = { state: 'failed', code: 550, enhancedCode: '5.1.1', text: 'no such mailbox here' }
const KEPT: KeptHere = { state: 'delivered', code: 250, enhancedCode: '2.0.0', text: 'kept' }
const makeId = idMaker()

/** Keeps a message, once for all its recipients together: if the store fails, nobody has it. @throws StorageError */
export async function keepHere({ envelope, addresses, open }: MailHere, deps: HereDeps): Promise<readonly KeptHere[]> {
  const { store, parseAddress } = deps
  const refusal = refuseUnknown(store)
  const paths = await Promise.all(
    addresses.map(async (address) => {
      const path = await pathHere(address, deps)
      return path !== undefined && (await refusal(path)) === undefined ? path : undefined
    }),
  )
  const forwardPaths = paths.filter((path) => path !== undefined)
  const from = parseAddress(envelope.reversePath) ?? { localPart: '', domain: '' }
  if (forwardPaths.length > 0) {
    const mail = messageFor(envelope, from, forwardPaths, open() as AsyncIterable<Uint8Array>)
    await store.save(deps.summary === true ? summarized(mail) : mail, OURSELVES)
  }
  return paths.map((path) => (path === undefined ? NO_MAILBOX : KEPT))
}

/** Returns undefined if nobody here has this address. */
async function pathHere(address: string, { parseAddress, accountsOf }: HereDeps): Promise<ForwardPath | undefined> {
  const path = parseAddress(address)
  const accounts = path && (await accountsOf?.(path))
  if (path === undefined || (accountsOf !== undefined && accounts === undefined)) return undefined
  return { ...path, address, parameters: new Map(), ...(accounts && { accounts }) }
}

function messageFor(
  { reversePath, body, smtpUtf8 }: QueueEnvelope,
  from: Address,
  forwardPaths: readonly ForwardPath[],
  bytes: AsyncIterable<Uint8Array>,
): IncomingMail {
  const receivedAt = new Date()
  const pieces = bytes[Symbol.asyncIterator]()
  return {
    id: makeId(receivedAt.getTime()),
    receivedAt,
    trace: NOTHING,
    envelope: {
      reversePath: { ...from, address: reversePath, parameters: new Map() },
      forwardPaths,
      body,
      smtpUtf8,
    },
    async read() {
      const { value, done } = await pieces.next()
      return done === true ? null : value
    },
  }
}
