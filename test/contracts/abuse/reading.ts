/**
 * Reads a session as RFC 5321, 3030, 4954 and 2033 say, from what the server received and what it replied. It shares no code
 * with the server. It finds replies that answer nothing, or that answer another command, and says which messages the server
 * has accepted.
 */
import type { Manner } from './session.ts'
import type { Traffic } from './watched.ts'

export interface Reply {
  readonly code: number
  /** Without CRLF. */
  readonly lines: readonly string[]
}

export interface Reading {
  /** Texts of the messages that the server accepted, in order, and the replies to each. */
  readonly accepted: { readonly text: string; readonly replies: readonly Reply[] }[]
  readonly complaints: string[]
  /** Commands and messages that have come whole and have no reply. */
  unanswered: number
  /** False if the reading stopped at a command that the rules do not decide. */
  isWhole: boolean
}

/** Codes that answer one command only. */
const ONLY: Readonly<Record<number, readonly string[]>> = {
  354: ['DATA'],
  334: ['AUTH'],
  235: ['AUTH'],
  220: ['STARTTLS', 'XCLIENT'],
  221: ['QUIT'],
  214: ['HELP'],
}
/** Each ends the transaction before it, if it is accepted. */
const BEGINNINGS: readonly string[] = ['EHLO', 'HELO', 'LHLO', 'RSET', 'MAIL', 'XCLIENT']
/** The server may take a longer line for a command or not. */
const SURE_LINE_OCTETS = 512

/** @param replies The replies in the traffic, each list as long as the server wrote it under clear or TLS */
export function readSession(traffic: readonly Traffic[], replies: readonly Reply[][], manner: Manner): Reading {
  return new SessionReader(manner).read(traffic, replies)
}

class SessionReader {
  readonly #manner: Manner
  readonly #reading: Reading = { accepted: [], complaints: [], unanswered: 0, isWhole: true }
  #octets = ''
  #at = 0
  #replies: Reply[] = []
  #isOver = false
  /** The next line is a response. */
  #isInAuth = false
  #chunks = ''
  #recipients = 0
  /** How many replies of 421 may end the session here. */
  #mayEnd = 1

  constructor(manner: Manner) {
    this.#manner = manner
  }

  read(traffic: readonly Traffic[], replies: readonly Reply[][]): Reading {
    traffic.forEach(({ received, isSecure }, index) => {
      this.#octets = received
      this.#at = 0
      this.#replies = [...(replies[index] ?? [])]
      if (isSecure) this.#restart()
      else if (!this.#answer('the connection')) return
      while (!this.#isOver && this.#next());
      const [left] = this.#replies
      // The last reply may say that the time is over, for example. In LMTP each recipient of a message gets it.
      const isLast = this.#replies.length <= this.#mayEnd && this.#replies.every(({ code }) => code === 421)
      if (left !== undefined && !isLast && this.#reading.isWhole) {
        this.#complain(`${this.#replies.length} replies answer nothing; the first is ${left.lines[0]}`)
      }
    })
    return this.#reading
  }

  #restart(): void {
    this.#isOver = false
    this.#isInAuth = false
    this.#chunks = ''
    this.#recipients = 0
  }

  #complain(what: string): void {
    this.#reading.complaints.push(what)
  }

  /** Takes the reply to a command. Returns undefined if there is none. */
  #answer(command: string): Reply | undefined {
    const reply = this.#replies.shift()
    this.#mayEnd = 1
    if (reply === undefined) {
      this.#isOver = true
      this.#reading.unanswered++
      return undefined
    }
    if (reply.code === 421 || reply.code === 221) this.#isOver = true
    const only = ONLY[reply.code]
    if (only !== undefined && command !== 'the connection' && !only.includes(command)) {
      this.#complain(`${command} is answered with ${reply.lines[0]}`)
    }
    return reply
  }

  /** Reads the next line and what belongs to it. Returns false if no more is whole. */
  #next(): boolean {
    const end = this.#octets.indexOf('\r\n', this.#at)
    if (end < 0) return false
    const line = this.#octets.slice(this.#at, end)
    this.#at = end + 2
    return this.#isInAuth ? this.#response() : this.#command(line)
  }

  #response(): boolean {
    this.#isInAuth = this.#answer('AUTH')?.code === 334
    return true
  }

  #command(line: string): boolean {
    // A line with a bare CR or LF is an error, and none of it runs.
    const isBroken = /[\r\n]/.test(line) || !isUtf8(line)
    const untidy = line.replace(/[ \t]+$/, '')
    // A lenient server takes several blanks for one.
    const text = this.#manner.addresses === 'lenient' ? untidy.replace(/^[ \t]*([^ \t]+)[ \t]+/, '$1 ') : untidy
    const [verb = ''] = (isBroken ? '' : text.trimStart().toUpperCase()).split(' ', 1)
    const argument = text.slice(verb.length)
    if (verb === 'BDAT') return this.#chunk(argument, line)
    const reply = this.#answer(isBroken ? 'a broken line' : verb)
    if (reply === undefined) return false
    if (isBroken && reply.code < 400) this.#complain(`a broken line is answered with ${reply.lines[0]}`)
    if (verb === 'DATA' && reply.code === 354) return this.#data()
    if (verb === 'STARTTLS' && reply.code === 220) this.#isOver = true
    if (verb === 'AUTH') this.#isInAuth = reply.code === 334
    if (verb === 'RCPT' && reply.code === 250) this.#recipients++
    if (BEGINNINGS.includes(verb) && reply.code < 300) this.#endTransaction()
    return true
  }

  #data(): boolean {
    const from = this.#at
    this.#mayEnd = this.#perMessage
    // The CRLF of the command itself begins the first line.
    const end = this.#octets.indexOf('\r\n.\r\n', from - 2)
    if (end < 0) {
      // The server may give up, if the message is far too large or the client takes too long.
      this.#isOver = true
      return false
    }
    this.#at = end + 5
    const text = this.#octets.slice(from, Math.max(from, end + 2)).replace(/(^|\r\n)\./g, '$1')
    this.#message(text)
    return true
  }

  #chunk(argument: string, line: string): boolean {
    const [, blanks = '', digits = '', rest = ''] = /^( *)(\d+)( .*)?$/s.exec(argument.replace(/^ /, '')) ?? []
    if (line.length > SURE_LINE_OCTETS - 2 && digits !== '') {
      this.#reading.isWhole = false
      this.#isOver = true
      return false
    }
    const size = digits === '' || !argument.startsWith(' ') ? 0 : Number(digits)
    if (this.#replies[0]?.code === 421) {
      this.#answer('BDAT')
      this.#mayEnd = this.#perMessage
      return false
    }
    if (this.#octets.length - this.#at < size) return false
    const octets = this.#octets.slice(this.#at, this.#at + size)
    this.#at += size
    const isChunk = digits !== '' && argument.startsWith(' ') && blanks === ''
    if (!isChunk || !['', ' LAST'].includes(rest.toUpperCase())) {
      const reply = this.#answer('BDAT')
      if (reply !== undefined && reply.code < 400) this.#complain(`BDAT${argument} is answered with ${reply.lines[0]}`)
      return reply !== undefined
    }
    this.#chunks += octets
    if (rest !== '') {
      const text = this.#chunks
      this.#message(text)
      return true
    }
    const reply = this.#answer('BDAT')
    if (reply !== undefined && reply.code >= 400) this.#endTransaction()
    return reply !== undefined
  }

  /** Takes the reply to a message: with LMTP one for each recipient. */
  #message(text: string): void {
    const replies: Reply[] = []
    for (let left = this.#perMessage; left > 0 && !this.#isOver; left--) {
      const reply = this.#answer('a message')
      if (reply !== undefined) replies.push(reply)
      this.#mayEnd = left
    }
    this.#endTransaction()
    if (replies.some(({ code }) => code === 250)) this.#reading.accepted.push({ text, replies })
  }

  get #perMessage(): number {
    return this.#manner.protocol === 'lmtp' ? Math.max(1, this.#recipients) : 1
  }

  #endTransaction(): void {
    this.#chunks = ''
    this.#recipients = 0
  }
}

function isUtf8(latin1: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'))
    return true
  } catch {
    return false
  }
}
