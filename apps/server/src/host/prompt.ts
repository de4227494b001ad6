/** Asks at the terminal. */
import process from 'node:process'
import { Failure } from './failure.ts'

/** By convention 128 plus the number of SIGINT. */
const CANCELLED = 130

/** Questions and their answers. The questions go to stderr, so that `$(postern hash)` holds nothing but the hash. */
export class Prompt {
  readonly #command: string
  readonly #chunks: AsyncIterator<string>
  /** Keys that were typed or pasted before their question. */
  #ahead: string[] = []

  /** @param command For messages */
  constructor(command: string) {
    this.#command = command
    // Before the first question, so that no early key is shown.
    process.stdin.setRawMode(true)
    this.#chunks = process.stdin.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>
  }

  /** @param isShown Whether the answer is shown while it is typed. Default: no */
  async ask(question: string, { isShown = false }: { readonly isShown?: boolean } = {}): Promise<string> {
    process.stderr.write(question)
    let typed = ''
    for (let key = await this.#key(); key !== undefined; key = await this.#key()) {
      if (key === '\r' || key === '\n' || key === '\x04') break
      if (key === '\x03') {
        process.stderr.write('\n')
        throw new Failure(`${this.#command}: cancelled`, CANCELLED)
      }
      if (key === '\x15') {
        // Ctrl-U
        if (isShown) process.stderr.write('\b \b'.repeat([...typed].length))
        typed = ''
        continue
      }
      const isErased = key === '\x7f' || key === '\b'
      if (isErased && isShown && typed !== '') process.stderr.write('\b \b')
      if (!isErased && isShown && key >= ' ') process.stderr.write(key)
      typed = isErased ? [...typed].slice(0, -1).join('') : typed + key
    }
    process.stderr.write('\n')
    return typed
  }

  /** Gives the terminal back. */
  close(): void {
    process.stdin.setRawMode(false)
    void this.#chunks.return?.()
  }

  async #key(): Promise<string | undefined> {
    while (this.#ahead.length === 0) {
      const { value, done } = await this.#chunks.next()
      if (done === true) return undefined
      this.#ahead = [...value]
    }
    return this.#ahead.shift()
  }
}
