/**
 * Tests every pair of state and command over the wire format. The expected replies are written by hand from the RFCs, and not
 * taken from the table of the engine, so that a mistake in the table makes a test fail.
 */
import { describe, expect, test } from 'vitest'
import { ExtensionSet } from '../src/protocol/extensions/set.ts'
import { COMMAND_STATES, type CommandState } from '../src/protocol/server/state.ts'
import { reply } from '../src/protocol/grammar/reply.ts'
import { codes, octets, protocolFor, run, takeText } from './protocol.ts'

/** The commands that lead to each state. With '!' in front, the driver refuses the command. */
const WAY: Record<CommandState, readonly string[]> = {
  start: [],
  ready: ['EHLO client.example'],
  mail: ['EHLO client.example', 'MAIL FROM:<a@b.example>'],
  refused: ['EHLO client.example', 'MAIL FROM:<a@b.example>', '!RCPT TO:<no@b.example>'],
  rcpt: ['EHLO client.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>'],
  bdat: ['EHLO client.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'BDAT 0'],
}

interface Cell {
  readonly code: string
  /** The next state if the driver accepts the command. */
  readonly to: string
  /** The next state if the driver refuses the command. Absent if the driver is not asked. */
  readonly refused?: string
}

const stays = (code: string): Record<CommandState, Cell> => each((state) => ({ code, to: state, refused: state }))
const hello: Record<CommandState, Cell> = each((state) => ({ code: '250', to: 'ready', refused: state }))

function each<T>(make: (state: CommandState) => T): Record<CommandState, T> {
  return Object.fromEntries(COMMAND_STATES.map((state) => [state, make(state)])) as Record<CommandState, T>
}

function outOfOrder(code: string, ...states: CommandState[]): Partial<Record<CommandState, Cell>> {
  return Object.fromEntries(states.map((state) => [state, { code, to: state }]))
}

const SEQUENCE = '503 5.5.1'
const EXPECTED: Record<string, Partial<Record<CommandState, Cell>>> = {
  'HELO client.example': hello,
  'EHLO client.example': hello,
  'MAIL FROM:<x@y.example>': {
    ...outOfOrder(SEQUENCE, 'start', 'mail', 'refused', 'rcpt', 'bdat'),
    ready: { code: '250 2.0.0', to: 'mail', refused: 'ready' },
  },
  'RCPT TO:<x@y.example>': {
    ...outOfOrder(SEQUENCE, 'start', 'ready', 'bdat'),
    mail: { code: '250 2.0.0', to: 'rcpt', refused: 'refused' },
    refused: { code: '250 2.0.0', to: 'rcpt', refused: 'refused' },
    rcpt: { code: '250 2.0.0', to: 'rcpt', refused: 'rcpt' },
  },
  DATA: {
    ...outOfOrder(SEQUENCE, 'start', 'ready', 'mail', 'bdat'),
    ...outOfOrder('554 5.5.1', 'refused'),
    rcpt: { code: '354', to: 'data', refused: 'ready' },
  },
  'BDAT 0': {
    ...outOfOrder(SEQUENCE, 'start', 'ready', 'mail'),
    ...outOfOrder('554 5.5.1', 'refused'),
    rcpt: { code: '250 2.0.0', to: 'bdat', refused: 'ready' },
    bdat: { code: '250 2.0.0', to: 'bdat', refused: 'ready' },
  },
  'BDAT 0 LAST': {
    ...outOfOrder(SEQUENCE, 'start', 'ready', 'mail'),
    ...outOfOrder('554 5.5.1', 'refused'),
    rcpt: { code: '250 2.0.0', to: 'ready', refused: 'ready' },
    bdat: { code: '250 2.0.0', to: 'ready', refused: 'ready' },
  },
  RSET: each((state) => ({ code: '250 2.0.0', to: state === 'start' ? 'start' : 'ready', refused: state })),
  NOOP: stays('250 2.0.0'),
  'VRFY someone': stays('250 2.0.0'),
  'EXPN list': stays('250 2.0.0'),
  HELP: stays('250 2.0.0'),
  QUIT: each(() => ({ code: '250 2.0.0', to: 'closed' })),
  STARTTLS: {
    ...outOfOrder(SEQUENCE, 'start', 'mail', 'refused', 'rcpt', 'bdat'),
    ready: { code: '250 2.0.0', to: 'tls', refused: 'ready' },
  },
  // An exchange in two steps: the challenge first.
  'AUTH PLAIN': {
    ...outOfOrder(SEQUENCE, 'start', 'mail', 'refused', 'rcpt', 'bdat'),
    ready: { code: '334', to: 'auth' },
  },
  'AUTH PLAIN AGEAYg==': {
    ...outOfOrder(SEQUENCE, 'start', 'mail', 'refused', 'rcpt', 'bdat'),
    ready: { code: '235 2.7.0', to: 'ready', refused: 'ready' },
  },
  BOGUS: each((state) => ({ code: '500 5.5.1', to: state })),
}

const NO = reply(550, '5.7.1', 'No')

/** Brings a protocol into `state`, then sends `command`, which the driver accepts or not. */
function send(state: CommandState, command: string, accept: boolean): { code: string; to: string } {
  const protocol = protocolFor()
  for (const step of WAY[state]) {
    const isRefused = step.startsWith('!')
    run([octets(`${step.replace('!', '')}\r\n`)], { decide: () => (isRefused ? NO : undefined) }, protocol)
  }
  expect(protocol.state).toBe(state)
  // DATA and STARTTLS do not use `run`, because the test checks the state right after the reply.
  const before = takeText(protocol)
  expect(before).toBe('')
  protocol.receive(octets(`${command}\r\n`))
  let event = protocol.next()
  let wire = ''
  while (event.type !== 'need-data' && event.type !== 'close') {
    if (event.type === 'hello' && accept) protocol.answer(protocol.helloReply(event.hello))
    else if (event.type === 'message' && accept) protocol.begin()
    else if (event.type === 'auth' && event.response === undefined) protocol.challenge(octets(''))
    else if (event.type === 'auth' && accept) protocol.answer(reply(235, '2.7.0', 'OK'))
    else if (event.type !== 'violation') protocol.answer(accept ? reply(250, '2.0.0', 'OK') : NO)
    if (protocol.state === 'tls') break
    event = protocol.next()
  }
  wire += takeText(protocol)
  const answered = codes(wire)
  expect(answered, `one reply to ${command}`).toHaveLength(1)
  return { code: answered[0] as string, to: protocol.state }
}

describe.each(Object.entries(EXPECTED))('%s', (command, cells) => {
  test.each(COMMAND_STATES)('gets the expected reply in state %s', (state) => {
    const cell = cells[state]
    expect(cell, 'every state has a cell').toBeDefined()
    if (cell === undefined) return
    expect(send(state, command, true)).toEqual({ code: cell.code, to: cell.to })
    if (cell.refused !== undefined) {
      expect(send(state, command, false)).toEqual({ code: '550 5.7.1', to: cell.refused })
    }
  })
})

test('a handshake resets the session', () => {
  const protocol = protocolFor()
  run([octets('EHLO client.example\r\nAUTH PLAIN AGEAYg==\r\n')], {}, protocol)
  expect(protocol.isAuthenticated).toBe(true)
  protocol.receive(octets('STARTTLS\r\n'))
  protocol.next()
  protocol.answer(reply(220, '2.0.0', 'Go'))
  expect(protocol.state).toBe('tls')
  protocol.secured()
  takeText(protocol)
  expect(protocol).toMatchObject({ state: 'start', isSecure: true, isAuthenticated: false, hello: undefined })
  const { replies } = run([octets('MAIL FROM:<>\r\nSTARTTLS\r\nEHLO again.example\r\nSTARTTLS\r\n')], {}, protocol)
  expect(codes(replies)).toEqual(['503 5.5.1', '503 5.5.1', '250', '503 5.5.1'])
  expect(replies).not.toContain('STARTTLS')
})

test('an extension is asked for its line once for each EHLO reply', () => {
  const said: (string | null)[] = ['1', 'null', null, '', '2']
  const one = new ExtensionSet([
    { keyword: 'XFIRST' },
    { keyword: 'XSAYS', advertise: () => said.shift() as string | null },
    { keyword: 'XLAST' },
  ])
  const context = protocolFor()
  const lines = Array.from({ length: 5 }, () => one.ehloReply('mx.example.com', context).lines.slice(1).join())
  expect(lines).toEqual([
    'XFIRST,XSAYS 1,XLAST',
    'XFIRST,XSAYS null,XLAST',
    'XFIRST,XLAST',
    'XFIRST,XSAYS,XLAST',
    'XFIRST,XSAYS 2,XLAST',
  ])
})
