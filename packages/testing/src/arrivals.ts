/** Holds the messages that came, and the waits for messages that did not come yet. */
import { describeFilter, type Filter, matches } from './filter.ts'
import type { TestMessage } from './message.ts'

/** The timers at the time when this file was loaded, because a test may replace them by false ones. */
const { clearTimeout, setTimeout } = globalThis

/** No message matched in time. The text of the error lists the messages that came instead. */
export class NoMessageError extends Error {
  override readonly name = 'NoMessageError'
}

/** The greatest number of messages, and of failures, that an error lists. */
const MAX_LISTED = 10
/** The greatest length of one line of an error. */
const MAX_LINE_CHARACTERS = 200

interface Wait {
  readonly filter: Filter
  settle(found: TestMessage | Error | undefined): void
}

export class Arrivals {
  #messages: TestMessage[] = []
  /** Lines about the newest refusals and broken connections. */
  #failures: string[] = []
  #failureCount = 0
  readonly #waits = new Set<Wait>()

  get messages(): readonly TestMessage[] {
    return this.#messages
  }

  add(message: TestMessage): void {
    this.#messages.push(message)
    for (const wait of this.#waits) {
      try {
        if (matches(message, wait.filter)) wait.settle(message)
      } catch (error) {
        wait.settle(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  addFailure(text: string): void {
    this.#failureCount++
    this.#failures = [...this.#failures, line(text)].slice(-MAX_LISTED)
  }

  /** Forgets messages and failures. Waits go on. */
  clear(): void {
    // Makes a new list, because the test may still read the old one.
    this.#messages = []
    this.#failures = []
    this.#failureCount = 0
  }

  /** Ends all waits. */
  close(): void {
    for (const wait of this.#waits) {
      wait.settle(new NoMessageError(`${describeFilter(wait.filter)}: the inbox was closed while a test waited for it`))
    }
  }

  /** Returns the first message that matches. @throws NoMessageError */
  async wait(filter: Filter, timeoutMs: number): Promise<TestMessage> {
    const start = filter.after === undefined ? 0 : this.#messages.indexOf(filter.after) + 1
    const there = this.#messages.slice(start).find((message) => matches(message, filter))
    const found = there ?? (timeoutMs > 0 ? await this.#next(filter, timeoutMs) : undefined)
    // Throws here and not in the timer, so that the stack names the line of the test.
    if (found === undefined) throw new NoMessageError(this.#describe(filter, timeoutMs))
    return found
  }

  #next(filter: Filter, timeoutMs: number): Promise<TestMessage | undefined> {
    return new Promise((resolve, reject) => {
      const wait: Wait = {
        filter,
        settle: (found) => {
          clearTimeout(timer)
          this.#waits.delete(wait)
          if (found instanceof Error) reject(found)
          else resolve(found)
        },
      }
      const timer = setTimeout(() => wait.settle(undefined), timeoutMs)
      this.#waits.add(wait)
    })
  }

  #describe(filter: Filter, timeoutMs: number): string {
    const count = this.#messages.length
    const came = this.#messages.slice(-MAX_LISTED).map(({ envelope, subject }) => {
      const head = subject === undefined ? 'no subject' : JSON.stringify(subject)
      return line(`from ${envelope.from || '<>'} to ${envelope.to.join(', ')}: ${head}`)
    })
    return [
      `${describeFilter(filter)}: none came within ${timeoutMs} ms`,
      count === 0 ? 'no message came' : `${count} ${count === 1 ? 'message' : 'messages'} came that did not match:`,
      ...listed(came, count),
      ...(this.#failureCount === 0 ? [] : [`${this.#failureCount} refused or broken:`]),
      ...listed(this.#failures, this.#failureCount),
    ].join('\n')
  }
}

/** Returns the newest lines, and a line with the number of the others. */
function listed(newest: readonly string[], count: number): string[] {
  const more = count - newest.length
  return [...(more > 0 ? [`  (${more} earlier)`] : []), ...newest.map((one) => `  ${one}`)]
}

/** Turns text from the connection into one short line. */
function line(text: string): string {
  const short = text.length <= MAX_LINE_CHARACTERS ? text : `${text.slice(0, MAX_LINE_CHARACTERS)}…`
  return short.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
}
