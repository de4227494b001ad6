/** A refusal or a failure is a line at first and a count afterwards, so that no flood fills a disk. */
import { type Endpoint, HookTimeoutError, Refusal, reply, type Session } from '@postern/engine'
import { HookError } from '@postern/intake'
import { StorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { openLog } from '../src/serve/logs/log.ts'
import { ErrorLog } from '../src/serve/logs/errors.ts'
import { RefusalLog } from '../src/serve/logs/refusals.ts'
import type { After } from '../src/serve/logs/repeats.ts'

type Line = Record<string, unknown>

/** Makes a log. Its minute ends when a test says so. */
async function logs(workerCount = 1, logLevel: 'info' | 'debug' | 'error' = 'info') {
  let text = ''
  let minute: (() => void) | undefined
  let timerCount = 0
  const after: After = (ms, run) => {
    expect(ms).toBe(60_000)
    expect(minute).toBeUndefined()
    timerCount++
    minute = run
    return () => (minute = undefined)
  }
  const log = await openLog({ logLevel, logFormat: 'json', debug: false }, { write: (line) => (text += line) })
  return {
    refusals: new RefusalLog(log, workerCount, after),
    errors: new ErrorLog(log, 'fs:./mail', workerCount, after),
    pass: () => minute?.(),
    timers: () => timerCount,
    /** Returns the lines since the last call, without time and source. */
    lines(): Line[] {
      const found = text.split('\n').filter((line) => line !== '')
      text = ''
      return found.map((line) => {
        const { '@timestamp': _time, logger: _logger, ...rest } = JSON.parse(line) as Line
        return rest
      })
    },
    size: () => text.length,
  }
}

const NO_SUCH_USER = reply(550, '5.1.1', 'No such user')
const SYNTAX = reply(501, '5.5.2', ['Syntax', 'error'])

function from(address: string, port = 4_000): Endpoint {
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', address, port }
}

/** Makes a session, with the parts that a log reads. */
function sessionFrom(remote: Endpoint, name = 'client.example'): Session {
  return { id: 'SESSION', remote, hello: { verb: 'EHLO', name } } as unknown as Session
}

test('a refusal is one line that names the peer, the verb and the reply', async () => {
  const { refusals, lines } = await logs()
  const remote = from('192.0.2.1')
  refusals.note({ verb: 'MAIL', reply: SYNTAX, remote, byHook: false }, sessionFrom(remote, 'my\x1bprinter'))
  refusals.note({ verb: '', reply: SYNTAX, remote, byHook: false }, undefined)
  expect(lines()).toEqual([
    {
      level: 'INFO',
      message: 'refused',
      sessionId: 'SESSION',
      remote: '192.0.2.1',
      remotePort: 4_000,
      hello: 'my\x1bprinter',
      verb: 'MAIL',
      reply: '501-5.5.2 Syntax / 501 5.5.2 error',
    },
    {
      level: 'INFO',
      message: 'refused',
      remote: '192.0.2.1',
      remotePort: 4_000,
      reply: '501-5.5.2 Syntax / 501 5.5.2 error',
    },
  ])
})

test('repeated refusals of an address are counted, and logged at the end of the minute', async () => {
  const { refusals, lines, pass, timers } = await logs()
  const note = (address: string, verb: string, given = NO_SUCH_USER): void =>
    refusals.note({ verb, reply: given, remote: from(address), byHook: true }, undefined)
  for (let i = 0; i < 42; i++) note('192.0.2.1', 'RCPT')
  for (let i = 0; i < 2; i++) note('192.0.2.2', 'RCPT')
  note('192.0.2.1', 'MAIL')
  note('192.0.2.1', 'RCPT', SYNTAX)
  // All addresses of one IPv6 network count as one client.
  note('2001:db8::1', 'RCPT')
  note('2001:db8::2', 'RCPT')
  note('2001:db8:0:1::2', 'RCPT')
  expect(lines().map(({ remote, verb, reply: given }) => [remote, verb, given])).toEqual([
    ['192.0.2.1', 'RCPT', '550 5.1.1 No such user'],
    ['192.0.2.2', 'RCPT', '550 5.1.1 No such user'],
    ['192.0.2.1', 'MAIL', '550 5.1.1 No such user'],
    ['192.0.2.1', 'RCPT', '501-5.5.2 Syntax / 501 5.5.2 error'],
    ['2001:db8::1', 'RCPT', '550 5.1.1 No such user'],
    ['2001:db8:0:1::2', 'RCPT', '550 5.1.1 No such user'],
  ])
  pass()
  const common = { level: 'INFO', verb: 'RCPT', reply: '550 5.1.1 No such user' }
  expect(lines()).toEqual([
    { ...common, message: 'refused 41 more times', remote: '192.0.2.1', times: 41 },
    { ...common, message: 'refused 1 more time', remote: '192.0.2.2', times: 1 },
    { ...common, message: 'refused 1 more time', remote: '2001:db8::1', times: 1 },
  ])
  expect(timers()).toBe(1)
  note('192.0.2.1', 'RCPT')
  expect(lines()).toHaveLength(1)
  pass()
  expect(lines()).toEqual([])
  expect(timers()).toBe(2)
})

test('refusals of the engine are counted by reply, refusals of a hook by codes', async () => {
  const { refusals, lines } = await logs()
  const remote = from('192.0.2.1')
  for (const byHook of [false, true]) {
    for (const text of ['Too many errors', 'This is an SMTP server', 'Too many errors']) {
      refusals.note({ verb: '', reply: reply(421, '4.7.0', text), remote, byHook }, undefined)
    }
  }
  expect(lines().map(({ reply: given }) => given)).toEqual([
    '421 4.7.0 Too many errors',
    '421 4.7.0 This is an SMTP server',
    '421 4.7.0 Too many errors',
  ])
})

test('refused logins are counted by user too, so that the log shows whose password is guessed', async () => {
  const { refusals, lines, pass } = await logs()
  const remote = from('192.0.2.1')
  for (const user of ['ann', 'ann', 'bob']) {
    const explanation = { message: 'login refused', common: { user }, fields: { user } }
    refusals.note({ verb: 'AUTH', reply: NO_SUCH_USER, remote, byHook: true }, sessionFrom(remote), explanation)
  }
  expect(lines().map(({ message, user }) => [message, user])).toEqual([
    ['login refused', 'ann'],
    ['login refused', 'bob'],
  ])
  pass()
  expect(lines()).toMatchObject([{ message: 'login refused 1 more time', user: 'ann', times: 1 }])
})

test('the number of lines for one address is bounded, however many kinds of refusals it causes', async () => {
  const { refusals, lines, pass } = await logs()
  for (let code = 500; code < 600; code++) {
    refusals.note({ verb: 'RCPT', reply: reply(code, '', 'No'), remote: from('192.0.2.1'), byHook: true }, undefined)
  }
  refusals.note({ verb: 'RCPT', reply: NO_SUCH_USER, remote: from('192.0.2.2'), byHook: true }, undefined)
  expect(lines()).toHaveLength(13)
  pass()
  expect(lines()).toEqual([{ level: 'INFO', message: '88 more refusals, from 1 address', times: 88 }])
})

test.each([1, 4])('the number of lines for very many addresses is bounded: %i workers', async (workerCount) => {
  const { refusals, lines, pass, size } = await logs(workerCount)
  const flood = (): void => {
    for (let i = 0; i < 200_000; i++) {
      const remote = from(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`)
      refusals.note(
        { verb: 'RCPT', reply: NO_SUCH_USER, remote, byHook: true },
        sessionFrom(remote, 'x'.repeat(60_000)),
      )
    }
  }
  flood()
  flood()
  expect(size()).toBeLessThan(400_000)
  expect(lines()).toHaveLength(200 / workerCount)
  pass()
  const summary = lines()
  expect(summary).toHaveLength(200 / workerCount + 1)
  const others = 400_000 - 2 * (200 / workerCount)
  expect(summary.at(-1)).toMatchObject({
    message: `${others} more refusals, from 1000 or more addresses`,
    times: others,
  })
})

test('at the end the counts are written and the timer is cleared', async () => {
  const { refusals, lines, pass } = await logs()
  for (let i = 0; i < 3; i++) refusals.handshake(from('192.0.2.1', i), new Error('no shared cipher'))
  refusals.front(from('192.0.2.1'), 'its token was used before')
  expect(lines().map(({ message, remotePort, reason }) => [message, remotePort, reason])).toEqual([
    ['TLS handshake failed', 0, 'no shared cipher'],
    ['a front was refused', 4_000, 'its token was used before'],
  ])
  refusals.flush()
  expect(lines()).toEqual([
    {
      level: 'INFO',
      message: 'TLS handshake failed 2 more times',
      remote: '192.0.2.1',
      reason: 'no shared cipher',
      times: 2,
    },
  ])
  pass()
  refusals.flush()
  expect(lines()).toEqual([])
})

test('nothing is counted if the level is not logged', async () => {
  const { refusals, lines, timers } = await logs(1, 'error')
  refusals.note({ verb: 'RCPT', reply: NO_SUCH_USER, remote: from('192.0.2.1'), byHook: true }, undefined)
  refusals.flush()
  expect([lines(), timers()]).toEqual([[], 0])
})

test('failures of the store are logged once a minute for each kind, without a stack', async () => {
  const { errors, lines, pass } = await logs()
  const session = sessionFrom(from('192.0.2.1'))
  for (let i = 0; i < 1_000; i++) {
    errors.note(new StorageError('no-space', `can't write ${i}: ENOSPC`), session, 'the store')
    errors.note(new StorageError('unavailable', `can't write ${i}: ECONNREFUSED`), session, 'the store')
  }
  const peer = { sessionId: 'SESSION', remote: '192.0.2.1', remotePort: 4_000 }
  const store = { level: 'ERROR', message: 'the store failed', store: 'fs:./mail' }
  expect(lines()).toEqual([
    { ...store, ...peer, code: 'no-space', reason: "no space left: can't write 0: ENOSPC" },
    { ...store, ...peer, code: 'unavailable', reason: "can't write 0: ECONNREFUSED" },
  ])
  pass()
  expect(lines().map(({ message, code, times, store: name }) => [message, code, times, name])).toEqual([
    ['the store failed 999 more times', 'no-space', 999, 'fs:./mail'],
    ['the store failed 999 more times', 'unavailable', 999, 'fs:./mail'],
  ])
})

test('each failure is logged under its kind', async () => {
  const { errors, lines } = await logs()
  const session = sessionFrom(from('192.0.2.1'))
  const late = new HookTimeoutError()
  errors.note(new HookError('handlers.rcpt threw', 'a text'), session, undefined)
  errors.note(new HookError('handlers.mail threw', new TypeError('no')), session, undefined)
  errors.note(late, session, 'handlers.mail')
  errors.note(late, session, undefined)
  errors.note(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }), session, undefined)
  errors.note(new TypeError('a bug'), session, undefined)
  errors.listener('smtp://*:25', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))
  // A refusal is not a failure. It has a line of its own.
  errors.note(new Refusal(NO_SUCH_USER), session, undefined)
  const found = lines()
  expect(found.map(({ message }) => message)).toEqual([
    'handlers.rcpt threw',
    'handlers.mail threw',
    'handlers.mail did not answer in time',
    'a hook did not answer in time',
    'the connection broke',
    'the session failed',
    'cannot accept connections',
  ])
  expect(found.map(({ error }) => (error as Line | undefined)?.['stack'] !== undefined)).toEqual([
    false,
    true,
    false,
    false,
    false,
    true,
    false,
  ])
})
