/** Abuse of the protocol on two of the runtimes. Also that the judge sees each fault, and that a failing session is cut short. */
import { resolve } from 'node:path'
import { mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { describe, expect, test } from 'vitest'
import { testProgram } from '../../packages/runtime/test/program.ts'
import { abuseRows } from '../contracts/abuse/abuse.ts'
import { judge } from '../contracts/abuse/judge.ts'
import type { Played } from '../contracts/abuse/play.ts'
import { type Manner, send, type Session, WAIT } from '../contracts/abuse/session.ts'
import { shrunk } from '../contracts/abuse/shrink.ts'
import { sample } from '../kit/sample.ts'

const program = resolve(import.meta.dirname, 'abuse-program.ts')
testProgram('abuse', abuseRows(), program, sample(['node', 'deno', 'bun'] as const, 2))

describe('the judge', () => {
  const manner: Manner = {
    protocol: 'smtp',
    addresses: 'strict',
    bareLineEndings: 'reject',
    authRequired: false,
    isTrusted: false,
  }
  const GREETING = '220 mx.example.com ESMTP\r\n'
  const BYE = '221 2.0.0 Goodbye\r\n'

  /** Judges what a server received and wrote. */
  async function complaints(received: string, written: string, played: Partial<Played> = {}): Promise<string> {
    const traffic = [{ isSecure: false, received, written }]
    const whole = { traffic, heard: written, hasLeft: false, kept: [], errors: [], ...played }
    return (await judge({ kind: 'none', manner, steps: [] }, whole, mailStore(memory()))).join('\n')
  }

  test('accepts a session that breaks no rule', async () => {
    const received = 'EHLO a.example\r\nBDAT 6\r\nQUIT\r\nAUTH LOGIN\r\nQUIT\r\nQUIT\r\n'
    const written = `${GREETING}250-mx.example.com\r\n250 HELP\r\n503 5.5.1 No\r\n334 VXNlcjo=\r\n501 5.5.2 No\r\n${BYE}`
    expect(await complaints(received, written)).toBe('')
    expect(await complaints('NOOP\r\n', `${GREETING}250 2.0.0 OK\r\n421 4.4.2 Timed out\r\n`)).toBe('')
  })

  test.each([
    ['a reply that answers nothing', 'NOOP\r\n', '250 2.0.0 OK\r\n250 2.0.0 OK\r\n', 'answer nothing'],
    ['a reply after QUIT', 'QUIT\r\nNOOP\r\n', `${BYE}250 2.0.0 OK\r\n`, 'answer nothing'],
    ['a chunk that is read as commands', 'BDAT 6\r\nNOOP\r\n', '503 5.5.1 No\r\n250 2.0.0 OK\r\n', 'answer nothing'],
    ['a command without a reply', 'NOOP\r\nNOOP\r\n', '250 2.0.0 OK\r\n', 'no reply'],
    ['a reply to another command', 'NOOP\r\n', BYE, 'NOOP is answered with 221'],
    ['a broken line that runs', 'NOOP\nNOOP\r\n', '250 2.0.0 OK\r\n', 'a broken line'],
    ['a reply without an enhanced code', 'NOOP\r\n', '250 OK\r\n', 'enhanced code'],
    ['an enhanced code of another class', 'NOOP\r\n', '250 5.0.0 OK\r\n', 'enhanced code'],
    ['an enhanced code in one line only', 'HELP\r\n', '214-2.0.0 a\r\n214 b\r\n', 'several enhanced codes'],
    ['several codes in one reply', 'HELP\r\n', '214-2.0.0 a\r\n250 2.0.0 b\r\n', 'several codes'],
    ['a reply without its last line', 'HELP\r\n', '214-2.0.0 a\r\n', 'without its last line'],
    ['a reply that is not text', 'NOOP\r\n', '250 2.0.0 O\x00K\r\n', 'malformed'],
    ['a reply line that ends with LF', 'NOOP\r\n', '250 2.0.0 OK\n', 'no CRLF'],
    ['a reply line that is too long', 'NOOP\r\n', `250 2.0.0 ${'x'.repeat(502)}\r\n`, '514 octets'],
    [
      'a message that is not kept',
      'DATA\r\na\r\n.\r\n',
      '354 go\r\n250 2.0.0 OK queued as X\r\n',
      'message X is kept as',
    ],
    ['a message without an id', 'DATA\r\na\r\n.\r\n', '354 go\r\n250 2.0.0 OK\r\n', 'a message is answered with'],
  ])('sees %s', async (_, received, written, complaint) => {
    expect(await complaints(received, GREETING + written)).toContain(complaint)
  })

  test('sees a message that is kept without a reply, unless the client has left', async () => {
    expect(await complaints('', GREETING, { kept: ['X'] })).toContain('kept without the reply 250: X')
    const [received, written] = ['DATA\r\n.\r\n', `${GREETING}354 go\r\n250 2.0.0 OK queued as Y\r\n`]
    expect(await complaints(received, written, { kept: ['X', 'Y'], hasLeft: true })).toContain('the reply 250: X')
    expect(await complaints('', GREETING, { kept: ['X'], hasLeft: true })).toBe('')
  })

  test('sees an error that the client cannot cause', async () => {
    expect(await complaints('', GREETING, { errors: [new TypeError('a bug')] })).toContain('a bug')
  })

  test('sees that the client did not get the last reply', async () => {
    expect(await complaints('QUIT\r\n', GREETING + BYE, { heard: GREETING })).toContain('the client read 26 octets')
  })
})

test('a failing session is shortened to the steps that fail', async () => {
  const steps = Array.from({ length: 40 }, (_, index) => (index % 3 === 0 ? WAIT : send(`NOOP ${index}\r\n`)))
  const session = { kind: 'none', manner: { protocol: 'smtp' } as Manner, steps }
  const has = ({ steps: left }: Session, text: string): boolean => {
    return left.some((step) => step.do === 'send' && step.octets.includes(text))
  }
  const short = await shrunk(session, async (shorter) => has(shorter, ' 10\r') && has(shorter, ' 31\r'))
  expect(short.steps).toEqual([send('NOOP 10\r\n'), send('NOOP 31\r\n')])
})
