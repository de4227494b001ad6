/** The server of the client's contract. Its reply to a message says what it took, so that no runtime has to share memory with it. */
import {
  deliverBy,
  dsn,
  futureRelease,
  type Handlers,
  type Message,
  mtPriority,
  type PathWithParameters,
  reply,
  type ReversePath,
  requireTls,
  type ScramKeys,
  type ServerOptions,
  type Session,
} from '@postern/engine'
import { scramKeysOf } from '../../kit/scram.ts'
import { sha256, type Taken } from './check.ts'

export const HOSTNAME = 'mx.postern.example'
/** Each mechanism has its own difficulties with these characters. */
export const USER = 'ann,=é'
export const PASSWORD = 'correct,=horsé'
export const TOKEN = 'ya29.a0AfH6SMBx'
export const MAX_BYTES = 10_000_000

let keys: ScramKeys | undefined

function accountKeys(): ScramKeys {
  keys ??= scramKeysOf(PASSWORD, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 4096)
  return keys
}

/** The same in every reply to EHLO, so that sessions can be compared: without it, the server offers a time that moves with the clock. */
const LAST_HOLD = new Date(Date.now() + 80_000_000)

/** Options of the server. @param isOld Without PIPELINING and CHUNKING */
export function contractServer(isOld = false): ServerOptions {
  return {
    hostname: HOSTNAME,
    limits: { maxConnections: 10_000, maxConnectionsPerAddress: 10_000, maxMessageBytes: MAX_BYTES },
    disabled: isOld ? ['PIPELINING', 'CHUNKING'] : [],
    extensions: [
      dsn,
      requireTls,
      mtPriority({ policy: 'MIXER' }),
      deliverBy({ minSeconds: 60 }),
      futureRelease({ maxSeconds: 86_400, maxDate: LAST_HOLD }),
    ],
    auth: {
      accounts: {
        checkPassword: ({ username, password }) =>
          username === USER && password === PASSWORD ? { user: username } : undefined,
        sharedSecret: (username) => (username === USER ? PASSWORD : undefined),
        scramKeys: (username) => (username === USER ? accountKeys() : undefined),
        checkToken: (token, username) => (token === TOKEN && username === USER ? { user: username } : undefined),
        certificateUser: () => ({ user: 'the owner of the certificate' }),
      },
    },
    ...HANDLERS,
  }
}

const HANDLERS: Handlers = {
  mail: ({ address }: ReversePath) => (address.startsWith('banned@') ? reply(550, '5.7.1', 'Not from you') : undefined),
  rcpt({ localPart }) {
    if (localPart === 'nobody') return reply(550, '5.1.1', 'No such mailbox')
    return localPart === 'later' ? reply(450, '4.2.1', 'Try again later') : undefined
  },
  async data(message, session) {
    const said = await take(message, session)
    const { forwardPaths, reversePath } = message.envelope
    if (reversePath.address.startsWith('spam@')) return reply(554, '5.7.1', 'Not this one')
    return forwardPaths.map(({ localPart }) => (localPart === 'full' ? reply(452, '4.2.2', 'Mailbox is full') : said))
  },
  verify: () => reply(250, '2.1.5', 'Bob <bob@postern.example>'),
  expand: () => reply(250, '2.1.5', ['<bob@postern.example>', '<cat@postern.example>']),
}

async function take(
  message: Message,
  { user = '', transmissionType: type }: Session,
): Promise<ReturnType<typeof reply>> {
  const bytes = new Uint8Array(await message.bytes())
  const { reversePath, forwardPaths } = message.envelope
  const taken: Taken = {
    from: reversePath.address,
    // A reply has room for some of them.
    to: forwardPaths.slice(0, 3).map(({ address }) => address),
    size: bytes.byteLength,
    sha256: await sha256(bytes),
    user,
    type,
    parameters: [reversePath, ...forwardPaths.slice(0, 1)].map(spell).join('; '),
  }
  return reply(250, '2.0.0', ascii(JSON.stringify(taken)))
}

function spell({ parameters }: PathWithParameters): string {
  return [...parameters].map(([keyword, value]) => (value === '' ? keyword : `${keyword}=${value}`)).join(' ')
}

/** Replies are ASCII. */
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
