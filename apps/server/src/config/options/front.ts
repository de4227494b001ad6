/** Fronts, and the server behind them. */
import { SECRET_RULE } from '@postern/intake/settings'
import { isExposed, parsePipeUrl, PIPE_ALLOWED } from '../urls/pipe-url.ts'
import type { TimeQuantity } from '../values/quantity.ts'
import { commaList, optional, parsedText, text } from '../values/schema.ts'
import { amount, type Choice, file, needs, onOff, type Option } from './row.ts'
import type { WhereRows } from './where.ts'

export interface FrontRows {
  /**
   * Secrets that fronts and their server share, at least 32 characters each, as a list or with commas between them. A front signs with
   * the first. A server accepts all of them, so that a new secret can replace an old one without a pause.
   */
  readonly frontSecret: Option<string | readonly string[], readonly string[]>
  /** For `postern front`: the server behind it, `wss://host/path`. */
  readonly to: Option<string, string | undefined>
  /** For `postern front`: a PEM file with the CA certificates that verify the server. Default: those of the runtime. */
  readonly toCa: Option<string, string | undefined>
  /** For `postern front`: allow `ws://` to another machine. Default false. */
  readonly toWithoutTls: Option<boolean, boolean>
  /** For `postern front`: how long the server may take to answer a new pipe. Default `10s`. */
  readonly connectTimeoutMs: Option<TimeQuantity, number>
}

const common = { group: 'Where:', commands: ['front'] } as const

export const frontRows: FrontRows = {
  frontSecret: {
    schema: commaList(text(SECRET_RULE.pattern, SECRET_RULE.allowed)),
    byDefault: [],
    help: 'secret that fronts and their server share: a front signs with the first, the server accepts all; at least 32 characters',
    ...common,
    commands: ['serve', 'front'],
    value: 'secret',
    repeatable: true,
    secret: true,
  },
  to: {
    schema: optional(parsedText(parsePipeUrl, PIPE_ALLOWED)),
    byDefault: undefined,
    help: 'URL of the server behind the front: wss://host/path',
    ...common,
    value: 'url',
  },
  toCa: file({ ...common, help: 'PEM file with the CA certificates that verify the server' }),
  toWithoutTls: onOff({ ...common, help: 'allow ws:// to another machine: mail is then sent without encryption' }),
  connectTimeoutMs: amount(
    'connectTimeoutMs',
    { min: 1, max: 60_000, byDefault: '10s' },
    { ...common, help: 'time for the server to answer a new pipe' },
  ),
}

/** Checks that a server for fronts has a secret. @throws Failure */
export function checkPipes({ options, spelled }: Choice<WhereRows & FrontRows>): void {
  const pipe = options.listen.find(({ pipePath }) => pipePath !== undefined)
  if (pipe !== undefined && options.frontSecret.length === 0) {
    throw needs(`${spelled('listen')} ${pipe.url}`, 'the secret that its fronts sign with: give --front-secret')
  }
}

/** Checks the options of a front. @returns the URL that it pipes to. @throws Failure */
export function checkTarget({ options, spelled }: Choice<FrontRows>): string {
  const { to } = options
  if (to === undefined) throw needs(spelled('to'), 'the URL of the server behind the front: give --to wss://HOST/PATH')
  if (options.frontSecret.length === 0) {
    throw needs(spelled('to'), 'the secret that it shares with the server: give --front-secret')
  }
  if (isExposed(to) && !options.toWithoutTls) {
    throw needs(
      `${spelled('to')} ${to}`,
      'TLS: give a wss:// URL, or --to-without-tls to send mail to another machine without encryption',
    )
  }
  return to
}
