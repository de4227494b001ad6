/** The script of a session, made before it begins, and the replies that it must get. */
import { dotStuffed, messageText } from './message.ts'
import type { Talk } from './order.ts'

/** One write, and the codes of the replies to wait for behind it. */
export interface Step {
  readonly bytes: Uint8Array
  readonly codes: readonly number[]
  /** A TLS handshake follows. */
  readonly secures?: true
}

export interface Script {
  /** From the greeting to the first MAIL. */
  readonly opening: readonly Step[]
  readonly message: readonly Step[]
  readonly closing: readonly Step[]
}

const encode = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const step = (text: string, ...codes: number[]): Step => ({ bytes: encode(text), codes })

const GREETING = step('', 220)
const HELLO = step('EHLO client.example.com\r\n', 250)
const STARTTLS: Step = { ...step('STARTTLS\r\n', 220), secures: true }
const AUTH = step(`AUTH PLAIN ${Buffer.from('\0someone\0password').toString('base64')}\r\n`, 235)
const QUIT = step('QUIT\r\n', 221)

export function writeScript(talk: Talk): Script {
  return {
    opening: talk.secure ? [GREETING, HELLO, STARTTLS, HELLO, AUTH] : [GREETING, HELLO],
    message: messageSteps(talk),
    closing: [QUIT],
  }
}

function messageSteps({ mode, messageBytes, recipients, moreFields }: Talk): Step[] {
  const text = messageText(messageBytes, moreFields)
  const mail = 'MAIL FROM:<sender@example.com>\r\n'
  const rcpts = Array.from({ length: recipients }, (_, i) => `RCPT TO:<someone${i}@example.org>\r\n`)
  const accepted = [250, ...rcpts.map(() => 250)]
  switch (mode) {
    case 'lockstep':
      return [
        step(mail, 250),
        ...rcpts.map((rcpt) => step(rcpt, 250)),
        step('DATA\r\n', 354),
        step(dotStuffed(text), 250),
      ]
    case 'pipelined':
      return [step(`${mail}${rcpts.join('')}DATA\r\n`, ...accepted, 354), step(dotStuffed(text), 250)]
    case 'bdat':
      return [step(`${mail}${rcpts.join('')}BDAT ${text.length} LAST\r\n${text}`, ...accepted, 250)]
  }
}
