/** Keeps mail that the relay has for this server itself: reports to its users. */
import { type ForwardPath, idMaker } from '@postern/engine'
import { parseAddress } from '@postern/intake/directory'
import type { AddressBook } from '@postern/intake/guards'
import type { KeptHere, MailHere, QueueEnvelope } from '@postern/relay'
import type { IncomingMail, IncomingSession, MailStore } from '@postern/storage'

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

/** Keeps a message once for each of its recipients. @throws StorageError */
export async function keepHere(
  { envelope, addresses, open }: MailHere,
  store: MailStore,
  book: (() => AddressBook) | undefined,
): Promise<readonly KeptHere[]> {
  const results: KeptHere[] = []
  for (const address of addresses) {
    const path = parseAddress(address)
    const found = path && (await book?.().resolve(path))
    if (path === undefined || (found !== undefined && found.kind !== 'accounts')) {
      results.push(NO_MAILBOX)
      continue
    }
    const forwardPath: ForwardPath = {
      ...path,
      address,
      parameters: new Map(),
      ...(found && { accounts: found.accounts }),
    }
    await store.save(messageFor(envelope, forwardPath, open() as AsyncIterable<Uint8Array>), OURSELVES)
    results.push(KEPT)
  }
  return results
}

function messageFor(
  { reversePath, body, smtpUtf8 }: QueueEnvelope,
  forwardPath: ForwardPath,
  bytes: AsyncIterable<Uint8Array>,
): IncomingMail {
  const receivedAt = new Date()
  const from = parseAddress(reversePath) ?? { localPart: '', domain: '' }
  const pieces = bytes[Symbol.asyncIterator]()
  return {
    id: makeId(receivedAt.getTime()),
    receivedAt,
    trace: NOTHING,
    envelope: {
      reversePath: { ...from, address: reversePath, parameters: new Map() },
      forwardPaths: [forwardPath],
      body,
      smtpUtf8,
    },
    async read() {
      const { value, done } = await pieces.next()
      return done === true ? null : value
    },
  }
}
