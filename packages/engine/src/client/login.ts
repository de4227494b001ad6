/** Runs a login: RFC 4954. */
import { decodeBase64, encodeBase64 } from '../protocol/bytes/base64.ts'
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import {
  type ClientCredentials,
  type ClientExchange,
  type ClientMechanism,
  type ClientSaslPeer,
  MechanismError,
} from '../sasl/client/mechanism.ts'
import { chooseMechanism } from '../sasl/client/mechanisms.ts'
import type { Channel } from './channel.ts'
import { ClientError, messageOf } from './error.ts'

export interface LoginOptions {
  readonly mechanisms: readonly ClientMechanism[] | undefined
  readonly allowSecretInClear: boolean
}

const SUCCEEDED = 235
const CHALLENGE = 334
/** RFC 4954 4 bounds a line of AUTH by 12,288 octets. A server of RFC 5321 alone takes 512 in a command. */
const MAX_COMMAND_OCTETS = 510
/** The longest exchange of a known mechanism has three. */
const MAX_CHALLENGES = 20
const HIDDEN = '***'

/**
 * Logs in by the best mechanism that the server offers.
 * @param offered The parameters of AUTH
 * @param serverName The server's name in its reply to EHLO
 * @throws ClientError
 */
export async function login(
  channel: Channel,
  offered: readonly string[],
  serverName: string,
  credentials: ClientCredentials,
  options: LoginOptions,
): Promise<void> {
  channel.assertReady('auth')
  const { duplex } = channel
  const peer: ClientSaslPeer = {
    host: duplex.tls?.serverName ?? serverName,
    port: duplex.remote.port,
    ...(duplex.channelBinding === undefined ? {} : { channelBinding: duplex.channelBinding.bind(duplex) }),
    offersChannelBinding: offered.some((name) => name.toUpperCase().endsWith('-PLUS')),
  }
  let mechanism: ClientMechanism
  try {
    mechanism = chooseMechanism(offered, credentials, peer, {
      isSecure: duplex.tls !== undefined,
      ...withoutUndefined(options),
    })
  } catch (error) {
    throw new ClientError(messageOf(error), { reason: 'login', stage: 'auth', isTemporary: false, cause: error })
  }
  const reply = await run(channel, mechanism, credentials, peer)
  if (reply.code === SUCCEEDED) return
  const { accessToken } = credentials
  // The token may have expired a moment ago.
  if (isBearer(mechanism) && typeof accessToken === 'function' && reply.code >= 500 && channel.isOpen) {
    const again = await run(channel, mechanism, credentials, peer)
    if (again.code === SUCCEEDED) return
    throw refused(mechanism, again)
  }
  throw refused(mechanism, reply)
}

function withoutUndefined({ mechanisms, allowSecretInClear }: LoginOptions): {
  allowSecretInClear: boolean
  mechanisms?: readonly ClientMechanism[]
} {
  return mechanisms === undefined ? { allowSecretInClear } : { allowSecretInClear, mechanisms }
}

function isBearer({ name }: ClientMechanism): boolean {
  return name === 'OAUTHBEARER' || name === 'XOAUTH2'
}

function refused({ name }: ClientMechanism, reply: ServerReply): ClientError {
  return new ClientError(`the server refused the login by ${name}: ${replyText(reply)}`, {
    reason: 'login',
    stage: 'auth',
    reply,
  })
}

/** Runs one exchange, and returns the server's last reply: 235, or a refusal. */
async function run(
  channel: Channel,
  mechanism: ClientMechanism,
  credentials: ClientCredentials,
  peer: ClientSaslPeer,
): Promise<ServerReply> {
  const { authMs } = channel.timeouts
  const { name } = mechanism
  let exchange: ClientExchange
  let initial: Uint8Array | undefined
  try {
    exchange = mechanism.start(credentials, peer)
    initial = await exchange.initial()
  } catch (error) {
    // Nothing was sent, so the connection is as it was.
    throw mechanismFailed(name, error)
  }
  // RFC 4954 4: an empty initial response is written as '='.
  let encoded = initial === undefined ? undefined : encodeBase64(initial) || '='
  if (encoded !== undefined && name.length + encoded.length + 6 <= MAX_COMMAND_OCTETS) {
    void channel.command(`AUTH ${name} ${encoded}`, `AUTH ${name} ${HIDDEN}`)
    encoded = undefined
  } else {
    void channel.command(`AUTH ${name}`)
  }
  for (let challenges = 0; challenges <= MAX_CHALLENGES; challenges++) {
    const reply = await channel.reply('auth', authMs)
    if (reply.code === SUCCEEDED) return succeeded(channel, name, exchange, reply)
    if (reply.code >= 400) return reply
    if (reply.code !== CHALLENGE) {
      throw channel.fail('protocol', `the server answered AUTH with a wrong code: ${replyText(reply)}`)
    }
    let response: string
    if (encoded !== undefined) {
      // The challenge is empty: the server asks for the initial response that did not fit into the command.
      response = encoded === '=' ? '' : encoded
      encoded = undefined
    } else {
      try {
        response = encodeBase64(await exchange.next(challengeIn(reply)))
      } catch (error) {
        await cancel(channel)
        throw mechanismFailed(name, error)
      }
    }
    channel.assertReady('auth')
    void channel.command(response, HIDDEN)
  }
  await cancel(channel)
  throw mechanismFailed(name, new MechanismError(`the server sent more than ${MAX_CHALLENGES} challenges`))
}

function succeeded(channel: Channel, name: string, exchange: ClientExchange, reply: ServerReply): ServerReply {
  try {
    exchange.succeeded?.()
    return reply
  } catch (error) {
    // The server thinks that the client is logged in, and it may be somebody else's server.
    const failed = mechanismFailed(name, error)
    channel.stage = 'auth'
    throw channel.failWith(failed)
  }
}

/** Cancels an exchange (RFC 4954 4). Closes the connection if the server goes on all the same. */
async function cancel(channel: Channel): Promise<void> {
  void channel.command('*')
  const reply = await channel.reply('auth', channel.timeouts.authMs)
  if (reply.code < 400) channel.fail('protocol', `the server answered * with a wrong code: ${replyText(reply)}`)
}

function challengeIn({ lines }: ServerReply): Uint8Array {
  const challenge = lines.length === 1 ? decodeBase64(lines[0] as string) : undefined
  if (challenge === undefined) throw new MechanismError("the server's challenge is not base64")
  return challenge
}

function mechanismFailed(name: string, error: unknown): ClientError {
  return new ClientError(`the login by ${name} failed: ${messageOf(error)}`, {
    reason: 'login',
    stage: 'auth',
    // A token could not be fetched, for example.
    isTemporary: !(error instanceof MechanismError),
    cause: error,
  })
}
