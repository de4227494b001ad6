/** Shows the progress of long work on a terminal: the number of messages, their bytes, the rate, and the time left. */
import process from 'node:process'
import { formatSize } from '../../config/values/quantity.ts'
import { isTerminal } from '../../host/terminal.ts'

/** The first line comes after this time, so that short work shows none. */
const FIRST_AFTER_MS = 1_000
const BETWEEN_MS = 250
/** The number of lines whose times give the rate. */
const MAX_MARKS = 40
const CLEAR = '\r\u001b[K'

export interface ProgressOptions {
  /** Gets the line. Default: standard error. */
  readonly stream?: Pick<NodeJS.WriteStream, 'write' | 'columns'> & { readonly isTTY?: boolean }
  /** Returns the milliseconds of any clock. */
  readonly now?: () => number
}

interface Mark {
  readonly ms: number
  readonly messages: number
}

export class Progress {
  readonly #total: number | undefined
  readonly #stream: NonNullable<ProgressOptions['stream']>
  readonly #now: () => number
  readonly #isShown: boolean
  readonly #marks: Mark[]
  #messages = 0
  #bytes = 0
  #nextMs: number
  #isOnScreen = false

  /**
   * @param isWanted If false, shows nothing. Shows nothing either if the stream is not a terminal
   * @param total The number of all messages; undefined if it is not known
   */
  constructor(isWanted: boolean, total: number | undefined, options: ProgressOptions = {}) {
    const { stream = process.stderr, now = () => performance.now() } = options
    this.#total = total
    this.#stream = stream
    this.#now = now
    this.#isShown = isWanted && isTerminal(stream)
    this.#marks = [{ ms: now(), messages: 0 }]
    this.#nextMs = now() + FIRST_AFTER_MS
  }

  /** Counts one message that is done. */
  add(bytes: number = 0): void {
    this.#messages++
    this.#bytes += bytes
    if (!this.#isShown || this.#now() < this.#nextMs) return
    this.#nextMs = this.#now() + BETWEEN_MS
    const line = this.#line()
    const width = this.#stream.columns ?? 80
    this.#stream.write(CLEAR + line.slice(0, width - 1))
    this.#isOnScreen = true
  }

  /** Removes the line from the screen, so that the caller can write lines of its own. */
  clear(): void {
    if (this.#isOnScreen) this.#stream.write(CLEAR)
    this.#isOnScreen = false
  }

  #line(): string {
    const rate = this.#rate()
    const count = this.#messages.toLocaleString('en-US')
    const words = [
      this.#total === undefined ? `${count} messages` : `${count} of ${this.#total.toLocaleString('en-US')} messages`,
    ]
    if (this.#bytes > 0) words.push(formatSize(this.#bytes))
    words.push(`${Math.round(rate).toLocaleString('en-US')} a second`)
    if (this.#total !== undefined && rate > 0) words.push(`${durationText((this.#total - this.#messages) / rate)} left`)
    return words.join(', ')
  }

  /** Returns the number of messages a second, over the last few seconds. */
  #rate(): number {
    const now = { ms: this.#now(), messages: this.#messages }
    const first = this.#marks[0] as Mark
    this.#marks.push(now)
    if (this.#marks.length > MAX_MARKS) this.#marks.shift()
    return ((now.messages - first.messages) * 1000) / Math.max(1, now.ms - first.ms)
  }
}

/** Writes a time as `45 s`, `3 min 20 s` or `2 h 5 min`. */
function durationText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
