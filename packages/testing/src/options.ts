/** The options of an inbox, and their checks. */
import { type Limits, OptionError } from '@postern/engine'
import { checkFields, checkOneOf, checkWhole } from './check.ts'
import { FAULT_FIELDS, type Faults } from './faults.ts'

export interface TestInboxOptions extends Faults {
  /** The address to listen on. Default '127.0.0.1'. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /**
   * 'starttls' offers STARTTLS, 'implicit' begins with TLS. The certificate is made for this inbox: `inbox.certificate`. Default
   * false.
   */
  readonly tls?: 'starttls' | 'implicit' | false
  /**
   * 'any' offers AUTH, accepts every name with every password, and requires no login. A table of names and passwords accepts only
   * these, and requires a login. false offers no AUTH. With `tls: 'starttls'` AUTH is offered only after STARTTLS. Default 'any'.
   */
  readonly login?: 'any' | Readonly<Record<string, string>> | false
  /** The greatest number of messages. The server answers further ones with 452. Default 1,000. */
  readonly maxMessages?: number
  /** The greatest number of bytes of all messages together. The server answers a message that exceeds it with 452. Default 64 MiB. */
  readonly maxBytes?: number
  /** Limits of the server, such as `maxMessageBytes` or `maxRecipients`. */
  readonly limits?: Partial<Limits>
  /** The seed for `rate` of faults. Default 1, so that each run of a test is the same. */
  readonly seed?: number
}

const FIELDS = [...FAULT_FIELDS, 'host', 'port', 'tls', 'login', 'maxMessages', 'maxBytes', 'limits', 'seed']
const MiB = 1024 * 1024

/** Fills in the defaults. @throws OptionError */
export function resolveOptions(options: TestInboxOptions): Required<Omit<TestInboxOptions, keyof Faults>> {
  checkFields('testInbox', options, FIELDS)
  const { host = '127.0.0.1', port = 0, tls = false, login = 'any', limits = {}, seed = 1 } = options
  const { maxMessages = 1_000, maxBytes = 64 * MiB } = options
  checkWhole('port', port, 0, 65_535)
  checkOneOf('tls', tls, ['starttls', 'implicit', false])
  checkWhole('maxMessages', maxMessages, 1, Number.MAX_SAFE_INTEGER)
  checkWhole('maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER)
  checkWhole('seed', seed, 0, 2 ** 32 - 1)
  checkLogin(login)
  return { host, port, tls, login, limits, seed, maxMessages, maxBytes }
}

/** Checks the logins. The error names no password. */
function checkLogin(login: unknown): void {
  const allowed = "'any', false, or an object of names and their passwords"
  if (login === 'any' || login === false) return
  if (typeof login !== 'object' || login === null) throw new OptionError('login', login, allowed)
  const wrong = Object.entries(login).find(([name, password]) => name === '' || typeof password !== 'string')
  if (wrong !== undefined) throw new OptionError(`login.${wrong[0]}`, typeof wrong[1], 'a password in a string')
}
