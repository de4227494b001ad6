/**
 * A small and slow model of the order of commands (RFC 5321 4.1.4), of chunks (RFC 3030), and of the decisions about the wire
 * for both. It shares no code with the server.
 *
 * If two refusals are right (a malformed command that is also out of order), the model accepts either.
 */

/** A command with its bytes, and for each of its replies the codes that are right. */
export interface Played {
  readonly bytes: string
  readonly replies: readonly (readonly string[])[]
}

export const COMMANDS = [
  'EHLO', 'EHLO refused', 'EHLO malformed', 'HELO', 'MAIL', 'MAIL refused', 'MAIL malformed', 'MAIL too large', 'MAIL binary',
  'RCPT', 'RCPT refused', 'RCPT malformed', 'DATA', 'DATA with argument', 'BDAT', 'BDAT empty', 'BDAT LAST', 'BDAT malformed', 'RSET',
  'RSET with argument', 'NOOP', 'VRFY', 'EXPN', 'HELP', 'unknown', 'bare LF', 'too long', 'AUTH', 'STARTTLS with argument',
] as const // prettier-ignore

export type Command = (typeof COMMANDS)[number]

interface Transaction {
  accepted: number
  refused: number
  readonly isBinary: boolean
  /** The text that BDAT has sent so far. */
  chunks: string | undefined
}

const OUT_OF_ORDER = '503 5.5.1'
/** A chunk that would be a whole session if the server read it as commands. */
const CHUNK = 'EHLO evil.example\r\nQUIT\r\n'
const TEXT = 'a line\r\n..stuffed\r\n'

export class Model {
  /** Texts of the messages that the server must keep. */
  readonly kept: string[] = []
  #isGreeted = false
  #transaction: Transaction | undefined

  play(command: Command): Played {
    switch (command) {
      case 'EHLO':
      case 'HELO':
        this.#isGreeted = true
        this.#transaction = undefined
        return one(`${command} client.example`, '250')
      case 'EHLO refused':
        return one('EHLO banned.example', '550 5.7.1')
      case 'EHLO malformed':
        return one('EHLO', '501 5.5.2')
      case 'MAIL':
        return this.#mail('', false)
      case 'MAIL binary':
        return this.#mail(' BODY=BINARYMIME', true)
      case 'MAIL refused':
        return one('MAIL FROM:<banned@example.org>', this.#mayBegin ? '550 5.7.1' : OUT_OF_ORDER)
      case 'MAIL malformed':
        return this.#malformed('MAIL FROM:alice@example.org', '501 5.5.2', this.#mayBegin)
      case 'MAIL too large':
        return this.#malformed('MAIL FROM:<alice@example.org> SIZE=99999999999', '552 5.3.4', this.#mayBegin)
      case 'RCPT':
      case 'RCPT refused':
      case 'RCPT malformed':
        return this.#rcpt(command)
      case 'DATA':
        return this.#data()
      case 'DATA with argument':
        return one('DATA now', '501 5.5.4', ...(this.#isReadyForText ? [] : [OUT_OF_ORDER, '554 5.5.1']))
      case 'BDAT':
        return this.#bdat(CHUNK, false)
      case 'BDAT empty':
        return this.#bdat('', false)
      case 'BDAT LAST':
        return this.#bdat(CHUNK, true)
      case 'BDAT malformed':
        return one('BDAT many', '501 5.5.4')
      case 'RSET':
        this.#transaction = undefined
        return one('RSET', '250 2.0.0')
      case 'RSET with argument':
        return one('RSET now', '501 5.5.4')
      case 'NOOP':
        return one('NOOP', '250 2.0.0')
      case 'VRFY':
        return one('VRFY somebody', '252 2.5.0')
      case 'EXPN':
        return one('EXPN somebody', '502 5.5.1')
      case 'HELP':
        return one('HELP', '214 2.0.0')
      case 'unknown':
        return one('WHAT IS THIS', '500 5.5.1')
      case 'bare LF':
        return { bytes: 'RSET\nRSET\r\n', replies: [['500 5.5.2']] }
      case 'too long':
        return one(`RSET ${'x'.repeat(3_000)}`, '500 5.5.2')
      case 'AUTH':
        return one('AUTH PLAIN AGEAYg==', '502 5.5.1')
      case 'STARTTLS with argument':
        return this.#malformed('STARTTLS now', '501 5.5.4', this.#mayBegin)
    }
  }

  /** After EHLO, and outside a transaction. */
  get #mayBegin(): boolean {
    return this.#isGreeted && this.#transaction === undefined
  }

  get #isReadyForText(): boolean {
    const transaction = this.#transaction
    return transaction !== undefined && transaction.accepted > 0 && transaction.chunks === undefined
  }

  #malformed(line: string, reply: string, isInOrder: boolean): Played {
    return isInOrder ? one(line, reply) : one(line, reply, OUT_OF_ORDER)
  }

  #mail(parameters: string, isBinary: boolean): Played {
    const line = `MAIL FROM:<alice@example.org>${parameters}`
    if (!this.#mayBegin) return one(line, OUT_OF_ORDER)
    this.#transaction = { accepted: 0, refused: 0, isBinary, chunks: undefined }
    return one(line, '250 2.1.0')
  }

  #rcpt(command: 'RCPT' | 'RCPT refused' | 'RCPT malformed'): Played {
    const transaction = this.#transaction
    const isInOrder = transaction !== undefined && transaction.chunks === undefined
    if (command === 'RCPT malformed') {
      if (isInOrder) transaction.refused++
      return this.#malformed('RCPT TO:<>', '501 5.1.3', isInOrder)
    }
    const line = command === 'RCPT' ? 'RCPT TO:<bob@example.com>' : 'RCPT TO:<unknown@example.com>'
    if (!isInOrder) return one(line, OUT_OF_ORDER)
    if (command === 'RCPT refused') {
      transaction.refused++
      return one(line, '550 5.1.1')
    }
    transaction.accepted++
    return one(line, '250 2.1.5')
  }

  #data(): Played {
    const transaction = this.#transaction
    if (transaction === undefined || transaction.chunks !== undefined) return one('DATA', OUT_OF_ORDER)
    if (transaction.accepted === 0 && transaction.refused > 0) {
      return transaction.isBinary ? one('DATA', OUT_OF_ORDER, '554 5.5.1') : one('DATA', '554 5.5.1')
    }
    if (transaction.accepted === 0 || transaction.isBinary) return one('DATA', OUT_OF_ORDER)
    this.#transaction = undefined
    this.kept.push('a line\r\n.stuffed\r\n')
    return { bytes: `DATA\r\n${TEXT}.\r\n`, replies: [['354'], ['250 2.0.0']] }
  }

  #bdat(chunk: string, isLast: boolean): Played {
    const bytes = `BDAT ${chunk.length}${isLast ? ' LAST' : ''}\r\n${chunk}`
    const transaction = this.#transaction
    if (transaction === undefined) return { bytes, replies: [[OUT_OF_ORDER]] }
    if (transaction.accepted === 0) return { bytes, replies: [[transaction.refused > 0 ? '554 5.5.1' : OUT_OF_ORDER]] }
    transaction.chunks = (transaction.chunks ?? '') + chunk
    if (isLast) {
      this.kept.push(transaction.chunks)
      this.#transaction = undefined
    }
    return { bytes, replies: [['250 2.0.0']] }
  }
}

function one(line: string, ...replies: string[]): Played {
  return { bytes: `${line}\r\n`, replies: [replies] }
}
