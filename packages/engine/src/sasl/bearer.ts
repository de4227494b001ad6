/** OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's form of it): the client shows a token. */
import { isReply } from '../protocol/grammar/reply.ts'
import { FIELD_END, parseGs2 } from './gs2.ts'
import type { Accounts, Mechanism, Step, TokenRefusal } from './mechanism.ts'
import { userOf } from './password.ts'
import { challenge, MALFORMED, REFUSED, textOf } from './text.ts'

interface Login {
  readonly username: string
  readonly token: string
}

export const oauthBearer: Mechanism = makeMechanism('OAUTHBEARER', parseOauthBearer, { status: 'invalid_token' })
export const xoauth2: Mechanism = makeMechanism('XOAUTH2', parseXoauth2, { status: '401', schemes: 'bearer' })

/** @param refusal The error for a token that the accounts do not accept */
function makeMechanism(name: string, parse: (text: string) => Login | undefined, refusal: TokenRefusal): Mechanism {
  return {
    name,
    showsPassword: true,
    isSupported: (accounts) => accounts.checkToken !== undefined,
    start(accounts) {
      let refused: Step | undefined
      return {
        async next(response) {
          // The client responds to the error with an octet that means nothing, or with none.
          if (refused !== undefined) return refused
          if (response === undefined) return challenge('')
          const login = parse(textOf(response) ?? '')
          if (login === undefined) return MALFORMED
          const answer: unknown = await ask(accounts, login)
          const user = userOf(answer)
          if (user !== undefined) return { user }
          refused = isReply(answer) && answer.code >= 400 ? { isRefused: true, reply: answer } : REFUSED
          return challenge(JSON.stringify(isTokenRefusal(answer) ? answer : refusal))
        },
      }
    },
  }
}

async function ask(accounts: Accounts, { token, username }: Login): Promise<unknown> {
  const answer: unknown = await accounts.checkToken?.(token, username)
  if (answer === undefined || userOf(answer) !== undefined || isReply(answer) || isTokenRefusal(answer)) return answer
  throw new TypeError('checkToken answers with { user }, a Reply, { status } or nothing')
}

function isTokenRefusal(answer: unknown): answer is TokenRefusal {
  return typeof (answer as { readonly status?: unknown } | undefined)?.status === 'string'
}

/** Parses `n,a=user,^Ahost=…^Aport=…^Aauth=Bearer …^A^A`. */
function parseOauthBearer(text: string): Login | undefined {
  const header = parseGs2(text)
  if (header === undefined || header.binding.flag === 'p') return undefined
  const [before, ...fields] = text.slice(header.text.length).split(FIELD_END)
  const token = before === '' ? tokenOf(fields) : undefined
  return token === undefined ? undefined : { username: header.authorizationId, token }
}

/** Parses `user=…^Aauth=Bearer …^A^A`. */
function parseXoauth2(text: string): Login | undefined {
  const fields = text.split(FIELD_END)
  const username = valueOf(fields, 'user')
  const token = tokenOf(fields)
  return username === undefined || username === '' || token === undefined ? undefined : { username, token }
}

/** Returns the token among the fields; undefined if there is none, or if the two separators at the end are missing. */
function tokenOf(fields: readonly string[]): string | undefined {
  const given = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(valueOf(fields, 'auth') ?? '')
  return fields.length > 2 && fields.at(-1) === '' && fields.at(-2) === '' ? given?.[1] : undefined
}

function valueOf(fields: readonly string[], key: string): string | undefined {
  return fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1)
}
