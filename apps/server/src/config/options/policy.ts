/** Which mail the server accepts, and how strict it is about SMTP. */
import { DOMAIN_ALLOWED, GUARD_ALLOWED, isGuard, parseDomain } from '@postern/intake/guards'
import type { Guard } from '@postern/intake'
import { Failure } from '../../host/failure.ts'
import type { TimeQuantity } from '../values/quantity.ts'
import { commaList, custom, list, nonEmpty, ONE_LINE, oneOf, optional, parsedText } from '../values/schema.ts'
import { type ConfigHandlers, hooks } from './hooks.ts'
import { amount, type Choice, type Option } from './row.ts'

export interface PolicyRows {
  /**
   * The domains to accept mail for, with commas between them or as a list: `example.com`, `*.example.org` for all domains below it, `*`
   * for all. Other recipients get `550 5.7.1`, except `<postmaster>` without a domain. Default: every domain.
   */
  readonly domains: Option<string | readonly string[], readonly string[] | undefined>
  /** The text after the host name in the greeting. Default `Postern`. */
  readonly banner: Option<string, string>
  /** The text after the host name in the replies to HELO and EHLO. Default: none. */
  readonly helloText: Option<string, string>
  /** Wait this long before the greeting, and refuse clients that send before it. Default 0: do neither. */
  readonly greetingDelayMs: Option<TimeQuantity, number>
  /** Rejects, normalises or preserves a bare CR or LF inside DATA. Default `reject`. */
  readonly bareLineEndings: Option<BareLineEndings, BareLineEndings>
  /** `lenient` accepts common syntax errors: paths without angle brackets, `a..b@example.org`, any HELO name. Default `strict`. */
  readonly addresses: Option<Addresses, Addresses>
  /** EHLO keywords of built-in extensions, or verbs, to turn off: `VRFY`, `CHUNKING`, `DSN`, … */
  readonly disabled: Option<string | readonly string[], readonly string[]>
  /**
   * Your own guards: sets of hooks, each under a name that the log has. The server asks them in this order, after `handlers` and `domains`
   * and before the store. The first refusal counts.
   */
  readonly guards: Option<Guard | readonly Guard[], readonly Guard[]>
  /** Your own hooks. The server asks them before its own checks. */
  readonly handlers: Option<ConfigHandlers, ConfigHandlers>
}

type BareLineEndings = 'reject' | 'normalise' | 'preserve'
type Addresses = 'strict' | 'lenient'

const group = 'Policy:'

export const policyRows: PolicyRows = {
  domains: {
    schema: optional(nonEmpty(commaList(parsedText(parseDomain, DOMAIN_ALLOWED)))),
    byDefault: undefined,
    help: 'domains to accept mail for: example.com,*.example.org, or * for all; other recipients get 550 5.7.1',
    group,
    value: 'domains',
    repeatable: true,
    docs: { more: '(see [Domains](#domains))' },
  },
  banner: {
    schema: ONE_LINE,
    byDefault: 'Postern',
    help: 'text after the host name in the greeting',
    group,
    value: 'text',
  },
  helloText: {
    schema: ONE_LINE,
    byDefault: '',
    help: 'text after the host name in the replies to HELO and EHLO',
    group,
    value: 'text',
  },
  greetingDelayMs: amount(
    'greetingDelayMs',
    { min: 0, max: 60_000, byDefault: 0 },
    { group, help: 'wait this long before the greeting, and refuse clients that send before it' },
  ),
  bareLineEndings: {
    schema: oneOf('reject', 'normalise', 'preserve'),
    byDefault: 'reject',
    help: 'what to do with a message that has a bare CR or LF: reject, normalise or preserve',
    group,
    value: 'policy',
  },
  addresses: {
    schema: oneOf('strict', 'lenient'),
    byDefault: 'strict',
    help: 'strict, or lenient: accept common syntax errors, such as paths without angle brackets',
    group,
    value: 'policy',
    docs: { more: '([list](protocol.md#addresses-lenient))' },
  },
  disabled: {
    schema: list(parsedText((word) => word.toUpperCase(), 'an EHLO keyword or a verb, such as VRFY or CHUNKING')),
    byDefault: [],
    help: 'extension or verb to turn off, such as VRFY or CHUNKING',
    group,
    value: 'keyword',
    repeatable: true,
  },
  guards: {
    schema: list(custom(isGuard, GUARD_ALLOWED)),
    byDefault: [],
    help: 'your own guards',
    group,
    value: 'guards',
    fileOnly: true,
  },
  handlers: {
    schema: hooks(),
    byDefault: {},
    help: 'your own hooks',
    group,
    value: 'hooks',
    fileOnly: true,
  },
}

/** Checks that the names of guards differ, because the log tells guards apart by name. @throws Failure */
export function checkGuards({ options, spelled }: Choice<PolicyRows>): void {
  const names = options.guards.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new Failure(`${spelled('guards')}: two are called ${JSON.stringify(twice)}; rename one`)
}
