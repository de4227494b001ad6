/**
 * The flags of sendmail, as Sendmail and Postfix document them. A flag may have its value behind it or in the next argument (`-fann`,
 * `-f ann`). Flags that change nothing here are accepted, because programs give them by habit.
 */
import type { DsnNotify } from '@postern/engine'
import { Failure } from '../../host/failure.ts'
import { SYSEXIT } from './sysexits.ts'

export interface SendmailFlags {
  readonly recipients: readonly string[]
  /** `-t` */
  readonly readsRecipients: boolean
  /** `-i`, `-oi` */
  readonly ignoresDots: boolean
  /** `-bs` */
  readonly isServer: boolean
  readonly verbose: boolean
  /** `-q` without recipients: there is no queue here, so there is nothing to do. */
  readonly runsQueue: boolean
  /** `-f`, `-r`: the reverse-path. '' for `<>` */
  readonly from?: string
  /** `-F` */
  readonly fullName?: string
  /** `-N` */
  readonly notify?: readonly DsnNotify[]
  /** `-R` */
  readonly ret?: 'FULL' | 'HDRS'
  /** `-V` */
  readonly envelopeId?: string
}

/** Flags with a value. Those that are not in {@link READERS} change nothing. */
const WITH_VALUE = 'fFrNRVoBCDXLOphq'
/** `-q` needs no value, and `-o` and `-O` have theirs behind them. */
const VALUE_IS_BEHIND = 'qo'
const NOTIFY: readonly string[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY']
const BARE = 'tivnUGmM'

type Writable = { -readonly [Key in keyof SendmailFlags]: SendmailFlags[Key] }

const READERS: Readonly<Record<string, (flags: Writable, value: string) => void>> = {
  f: (flags, value) => void (flags.from = value.replace(/^<([^<>]{0,254})>$/, '$1')),
  r: (flags, value) => void (flags.from = value.replace(/^<([^<>]{0,254})>$/, '$1')),
  F: (flags, value) => void (flags.fullName = value),
  V: (flags, value) => void (flags.envelopeId = value),
  N: (flags, value) => void (flags.notify = notifyOf(value)),
  R: (flags, value) => void (flags.ret = retOf(value)),
  o: (flags, value) => void (flags.ignoresDots ||= value === 'i'),
  q: (flags) => void (flags.runsQueue = true),
}

/** @throws Failure with EX_USAGE */
export function parseSendmail(args: readonly string[]): SendmailFlags {
  const flags: Writable = {
    recipients: [],
    readsRecipients: false,
    ignoresDots: false,
    isServer: false,
    verbose: false,
    runsQueue: false,
  }
  const recipients: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string
    if (arg === '--') {
      recipients.push(...args.slice(i + 1))
      break
    }
    if (!arg.startsWith('-') || arg === '-') recipients.push(arg)
    else if (arg[1] === 'b') readMode(flags, arg.slice(2))
    else if (WITH_VALUE.includes(arg[1] as string)) {
      const letter = arg[1] as string
      const isBehind = arg.length > 2 || VALUE_IS_BEHIND.includes(letter)
      const value = isBehind ? arg.slice(2) : args[++i]
      if (value === undefined) throw usage(`-${letter}: it needs a value`)
      READERS[letter]?.(flags, value)
    } else readBare(flags, arg.slice(1))
  }
  return {
    ...flags,
    recipients: recipients
      .flatMap((list) => list.split(','))
      .map(trimmed)
      .filter(Boolean),
  }
}

/** Reads flags without a value, of which several may stand in one argument: `-ti`. */
function readBare(flags: Writable, letters: string): void {
  for (const letter of letters) {
    if (!BARE.includes(letter)) throw usage(`-${letter}: there is no such flag`)
    if (letter === 't') flags.readsRecipients = true
    else if (letter === 'i') flags.ignoresDots = true
    else if (letter === 'v') flags.verbose = true
  }
}

function readMode(flags: Writable, mode: string): void {
  if (mode === 's') flags.isServer = true
  else if (mode !== 'm') throw usage(`-b${mode}: only -bm and -bs are here`)
}

function notifyOf(value: string): readonly DsnNotify[] {
  const words = value.toUpperCase().split(',')
  const isKnown = words.every((word) => NOTIFY.includes(word))
  if (!isKnown || (words.includes('NEVER') && words.length > 1)) {
    throw usage(`-N: ${JSON.stringify(value)} is not never, or success, failure and delay with commas between them`)
  }
  return words as DsnNotify[]
}

function retOf(value: string): 'FULL' | 'HDRS' {
  const word = value.toUpperCase()
  if (word === 'FULL' || word === 'HDRS') return word
  throw usage(`-R: ${JSON.stringify(value)} is not full or hdrs`)
}

function trimmed(text: string): string {
  return text.trim().replace(/^<([^<>]{0,254})>$/, '$1')
}

function usage(text: string): Failure {
  return new Failure(`sendmail: ${text}`, SYSEXIT.usage)
}
