/**
 * Turns logged values into plain data of bounded size, without secrets.
 *
 * Clients choose some of the values (addresses, hello names, command lines). So no regular expression runs over a value, and every
 * value, list and record has a largest size.
 */
import { Failure } from '../../host/failure.ts'
import { hideForms, type Secrets } from './secrets.ts'

/** The largest numbers of characters of a value, a stack and a name. */
export const MAX_TEXT_LENGTH = 1_000
const MAX_STACK_LENGTH = 8_000
const MAX_NAME_LENGTH = 100
/** The largest number of characters of a field with everything in it. */
export const MAX_FIELD_LENGTH = 10_000
const MAX_ITEMS = 100
const MAX_DEPTH = 6
/** How many characters after the cut may still belong to a secret that is found by its form. */
const MAX_FORM_LENGTH = 4_096

/** Fields with these names are hidden, at any depth. */
const SECRET_FIELDS = [
  /pass(word|phrase|code)?$/i,
  /secret/i,
  /credential/i,
  /token/i,
  /^authorization$/i,
  /^private.?key$/i,
]

/** The fields that hold the text of an error. */
const ERROR_TEXTS: ReadonlySet<string> = new Set(['reason', 'message', 'stack'])

/** An error, to be logged. */
export class PlainError {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  /** Present only if the error is a bug. */
  readonly stack: string | undefined
  readonly cause: unknown

  constructor(fields: PlainError) {
    this.name = fields.name
    this.message = fields.message
    this.code = fields.code
    this.stack = fields.stack
    this.cause = fields.cause
  }
}

/** Reads the values of records. */
export class PlainReader {
  readonly #secrets: Secrets
  readonly #wantsStacks: boolean
  /** How many characters the current field may still have. */
  #leftLength = MAX_FIELD_LENGTH

  /** @param wantsStacks True if every error has its stack, even one that the operator can fix */
  constructor(secrets: Secrets, wantsStacks: boolean) {
    this.#secrets = secrets
    this.#wantsStacks = wantsStacks
  }

  /** Reads the fields of a record. Their number needs no bound, because the program chooses them, not a client. */
  fields(given: object): Record<string, unknown> {
    return this.#object(given, (name, value) => {
      this.#leftLength = MAX_FIELD_LENGTH
      try {
        return this.#value(name, value, 0)
      } catch {
        // A user's hook may throw an object whose getters throw.
        return '(unreadable)'
      }
    })
  }

  /** Reads a text. @param name The name of its field */
  text(name: string, given: string): string {
    return this.#cut(given, MAX_TEXT_LENGTH, ERROR_TEXTS.has(name))
  }

  #value(name: string, given: unknown, depth: number): unknown {
    if (given === undefined) return undefined
    if (SECRET_FIELDS.some((pattern) => pattern.test(name))) return '(hidden)'
    if (typeof given === 'string') return this.text(name, given)
    this.#leftLength--
    if (given === null || typeof given === 'number' || typeof given === 'boolean') return given
    if (typeof given !== 'object') return this.text(name, String(given))
    if (depth >= MAX_DEPTH || this.#leftLength <= 0) return '…'
    if (given instanceof Error) return this.#error(given, depth)
    if (given instanceof Date) return this.text(name, String(given))
    if (given instanceof URL) return this.text('reason', given.href)
    if (ArrayBuffer.isView(given)) return `(${given.byteLength} bytes)`
    if (Array.isArray(given)) return this.#list(name, given, depth)
    return this.#object(given, (inner, value) => this.#value(inner, value, depth + 1))
  }

  #object(given: object, read: (name: string, value: unknown) => unknown): Record<string, unknown> {
    const entries = Object.entries(given).slice(0, MAX_ITEMS)
    return Object.fromEntries(entries.map(([name, value]) => [name.slice(0, MAX_NAME_LENGTH), read(name, value)]))
  }

  #list(name: string, given: readonly unknown[], depth: number): unknown[] {
    const items = given.slice(0, MAX_ITEMS).map((item) => this.#value(name, item, depth + 1))
    if (given.length > MAX_ITEMS) items.push(`… and ${given.length - MAX_ITEMS} more`)
    return items
  }

  #error(error: Error, depth: number): PlainError {
    const { name, message, stack, cause } = error
    const code = (error as { readonly code?: unknown }).code
    const isShown = typeof stack === 'string' && (this.#wantsStacks || !canBeMended(error))
    return new PlainError({
      name: this.text('name', String(name)),
      message: this.text('message', String(message)),
      code: typeof code === 'string' ? this.text('code', code) : undefined,
      stack: isShown ? this.#cut(stack, MAX_STACK_LENGTH, true) : undefined,
      cause: this.#value('reason', cause, depth + 1),
    })
  }

  /**
   * Hides secrets in a text and cuts it.
   * @param isOfError True if the text may quote a setting or a file
   */
  #cut(given: string, maxLength: number, isOfError: boolean = false): string {
    const behind = Math.max(this.#secrets.maxLength, MAX_FORM_LENGTH)
    const isLong = given.length > maxLength + behind
    let hidden = this.#secrets.hide(isLong ? given.slice(0, maxLength + behind) : given)
    if (isOfError) hidden = hideForms(hidden)
    // The end may be the first part of a secret, which the search did not find.
    const shown = isLong ? hidden.slice(0, Math.max(0, hidden.length - behind)) : hidden
    const length = Math.max(0, Math.min(maxLength, this.#leftLength))
    this.#leftLength -= Math.min(shown.length, length) + 1
    if (!isLong && shown.length <= length) return shown
    return `${shown.slice(0, length)}… (${given.length} characters)`
  }
}

/** Returns whether the operator can fix the error. Then the reason is enough, and a stack would not help. */
function canBeMended(error: Error): boolean {
  if (error instanceof Failure || error.name === 'StorageError') return true
  const { code } = error as { readonly code?: unknown }
  // Codes of the operating system, such as ENOSPC, but not Node's own, such as ERR_INVALID_ARG_TYPE.
  return typeof code === 'string' && code.startsWith('E') && !code.startsWith('ERR_')
}
