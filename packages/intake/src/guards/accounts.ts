/**
 * Accepts mail for accounts, and lets users send only as addresses that are theirs. Mail for others is accepted only from users who have
 * logged in, and only if somebody sends it on.
 */
import {
  type ForwardPath,
  isPromiseLike,
  type Reply,
  reply,
  type ReversePath,
  type Session,
  type Verdict,
} from '@postern/engine'
import { parseAddress, type RecipientAddress } from '../directory/address.ts'
import type { Resolution } from '../directory/directory.ts'
import type { Guard } from '../guard.ts'

/** The addresses of a server. A {@link Directory} is one; users may write their own. */
export interface AddressBook {
  /** Finds what becomes of mail to an address. */
  resolve(address: RecipientAddress): Resolution | Promise<Resolution>
  /** Returns the accounts of an alias; undefined if the address is not an alias. Without it EXPN is refused. */
  expand?(address: RecipientAddress): readonly string[] | undefined | Promise<readonly string[] | undefined>
  /** Returns whether a user who has logged in may send as an address. Without it a user may send as any. */
  maySendAs?(user: string, address: RecipientAddress): boolean | Promise<boolean>
}

export interface AccountsGuardOptions {
  /** Answers VRFY and EXPN to everybody. Default: only to users who have logged in. */
  readonly tellsStrangers?: boolean
  /** Mail of users for other domains is sent on. Default false: it is refused. */
  readonly sendsOn?: boolean
  /** Returns whether an address of our domains receives mail although the book does not know it. Default: none does. */
  receives?(address: RecipientAddress): boolean
}

export interface AccountsGuard extends Guard {
  mail(reversePath: ReversePath, session: Session): Verdict | Promise<Verdict>
  rcpt(forwardPath: ForwardPath, session: Session): Verdict | Promise<Verdict>
  verify(argument: string, session: Session): Verdict | Promise<Verdict>
  expand(argument: string, session: Session): Verdict | Promise<Verdict>
}

const UNKNOWN = reply(550, '5.1.1', 'No such mailbox here')
const SUSPENDED = reply(550, '5.2.1', 'This mailbox is disabled')
const NOT_OURS = reply(550, '5.7.1', 'Relaying is not allowed: this domain is not received here')
const NOT_SENT = reply(550, '5.7.1', 'This server sends nothing on: only its own domains can be reached')
const NOT_YOURS = reply(550, '5.7.1', 'You may not send as this address')
const NO_ALIAS = reply(550, '5.1.1', 'No such mailing list here')
const NOT_TOLD = reply(252, '2.5.0', 'Cannot verify; send mail and see')
/** EXPN never tells more. */
const MAX_EXPANDED = 100

/** @param book Called for each command, so that it may change while the server runs */
export function accountsGuard(
  book: () => AddressBook,
  { tellsStrangers = false, sendsOn = false, receives = () => false }: AccountsGuardOptions = {},
): AccountsGuard {
  const isTold = ({ user }: Session): boolean => tellsStrangers || user !== undefined
  return {
    name: 'accounts',
    mail({ localPart, domain, address }, { user }) {
      const current = book()
      // <> is the sender of reports.
      if (user === undefined || address === '' || current.maySendAs === undefined) return undefined
      return after(current.maySendAs(user, { localPart, domain }), (may) => (may ? undefined : NOT_YOURS))
    },
    rcpt(forwardPath, { user }) {
      return after(book().resolve(forwardPath), (found) => {
        if (found.kind === 'accounts') forwardPath.accounts = found.accounts
        if (found.kind === 'elsewhere' && sendsOn && user !== undefined) {
          forwardPath.isElsewhere = true
          return undefined
        }
        if (found.kind === 'unknown' && receives(forwardPath)) return undefined
        return refusalOf(found, user !== undefined)
      })
    },
    verify(argument, session) {
      const asked = isTold(session) ? parseQuery(argument) : undefined
      if (asked === undefined) return undefined
      return after(book().resolve(asked.path), (found) =>
        found.kind === 'accounts'
          ? reply(250, '2.1.5', `<${asked.text}>`)
          : found.kind === 'elsewhere'
            ? NOT_TOLD
            : UNKNOWN,
      )
    },
    expand(argument, session) {
      const current = book()
      const asked = isTold(session) ? parseQuery(argument) : undefined
      if (asked === undefined || current.expand === undefined) return undefined
      return after(current.expand(asked.path), (accounts) => {
        if (accounts === undefined || accounts.length === 0) return NO_ALIAS
        return reply(
          250,
          '2.1.5',
          accounts.slice(0, MAX_EXPANDED).map((account) => `<${account}>`),
        )
      })
    },
  }
}

function refusalOf({ kind }: Resolution, isUser: boolean): Reply | undefined {
  switch (kind) {
    case 'accounts':
      return undefined
    case 'suspended':
      return SUSPENDED
    case 'unknown':
      return UNKNOWN
    case 'elsewhere':
      return isUser ? NOT_SENT : NOT_OURS
  }
}

/** Reads the argument of VRFY or EXPN: an address, with or without brackets. */
function parseQuery(argument: string): { path: RecipientAddress; text: string } | undefined {
  const text = argument.startsWith('<') && argument.endsWith('>') ? argument.slice(1, -1) : argument
  const path = parseAddress(text)
  return path && /^[\x21-\x7e]{1,254}$/.test(text) ? { path, text } : undefined
}

function after<T>(answer: T | Promise<T>, then: (answer: T) => Verdict): Verdict | Promise<Verdict> {
  return isPromiseLike(answer) ? Promise.resolve(answer).then(then) : then(answer as T)
}
