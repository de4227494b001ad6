/**
 * Logs frequent events without filling a disk. The first event of a kind is one line. Others of that kind within a minute are
 * counted, and become one line at the end of the minute.
 */
import type { Fields } from '@postern/intake'
import type { Logger } from '@logtape/logtape'

/** Something that may happen again. */
export interface Occurrence {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  /** The source of the event: an address, or a part of the server. */
  readonly who: string
  /** Events of one `who` that have the same message and kind are counted together. */
  readonly kind: string
  /** The fields that all events of the kind share, for the line about repetitions. */
  readonly common: Fields
  /** Returns the fields of this event's own line. It is called only if the line is written. */
  fields(): Fields
}

/** Calls `run` after `ms`, unless the returned function is called before. It does not keep the process alive. */
export type After = (ms: number, run: () => void) => () => void

export interface RepeatOptions {
  /**
   * The greatest number of lines in a minute. At its end there may be as many lines about repetitions, and one about
   * events without a line.
   */
  readonly maxLines: number
  /** The level of the line about events without a line. */
  readonly level: 'info' | 'error'
  /** Makes the text of that line. @param who The number of their sources */
  summary(times: number, who: string): string
  readonly after?: After | undefined
}

const WINDOW_MS = 60_000
/** The greatest number of kinds of one `who` with a line in a minute, so that one client cannot use all lines. */
const MAX_KINDS = 12
/** How many characters of message and kind are compared. */
const MAX_KEY_LENGTH = 200
/** How many characters of each common field are kept. */
const MAX_VALUE_LENGTH = 500
/** The greatest number of sources without a line that are counted. */
const MAX_OTHERS = 1_000

interface Seen extends Pick<Occurrence, 'level' | 'message' | 'common'> {
  times: number
}

export class RepeatLog {
  readonly #log: Logger
  readonly #options: RepeatOptions
  /** By `who`, then by message and kind. */
  readonly #seen = new Map<string, Map<string, Seen>>()
  #lineCount = 0
  /** The number of events without a line. `#others` has their sources. */
  #otherTimes = 0
  readonly #others = new Set<string>()
  #cancel: (() => void) | undefined

  constructor(log: Logger, options: RepeatOptions) {
    this.#log = log
    this.#options = options
  }

  note(occurrence: Occurrence): void {
    const { level, message, who, kind, common } = occurrence
    if (!this.#log.isEnabledFor(level === 'warn' ? 'warning' : level)) return
    const { maxLines, after = unrefTimer } = this.#options
    this.#cancel ??= after(WINDOW_MS, () => this.flush())
    const key = `${message} ${kind}`.slice(0, MAX_KEY_LENGTH)
    const kinds = this.#seen.get(who)
    const seen = kinds?.get(key)
    if (seen !== undefined) {
      seen.times++
    } else if (this.#lineCount >= maxLines || (kinds?.size ?? 0) >= MAX_KINDS) {
      this.#otherTimes++
      if (this.#others.size < MAX_OTHERS) this.#others.add(who)
    } else {
      this.#lineCount++
      const first = { level, message, common: shortened(common), times: 0 }
      if (kinds === undefined) this.#seen.set(who, new Map([[key, first]]))
      else kinds.set(key, first)
      this.#log[level](message, occurrence.fields())
    }
  }

  /** Writes the counts so far, and starts again from zero. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const kinds of this.#seen.values()) {
      for (const { level, message, common, times } of kinds.values()) {
        if (times > 0) this.#log[level](`${message} ${timesText(times)}`, { ...common, times })
      }
    }
    if (this.#otherTimes > 0) {
      const { level, summary } = this.#options
      const who = this.#others.size < MAX_OTHERS ? `${this.#others.size}` : `${MAX_OTHERS} or more`
      this.#log[level](summary(this.#otherTimes, who), { times: this.#otherTimes })
    }
    this.#seen.clear()
    this.#lineCount = 0
    this.#otherTimes = 0
    this.#others.clear()
  }
}

function shortened(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.slice(0, MAX_VALUE_LENGTH) : value,
  ])
  return Object.fromEntries(entries) as Fields
}

function timesText(times: number): string {
  return times === 1 ? '1 more time' : `${times} more times`
}

function unrefTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  timer.unref()
  return () => clearTimeout(timer)
}
