/** The options of a Worker: where the mail goes, and who is asked for each recipient. */
import { reply } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { memory } from '@postern/storage/memory'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { DuplexClient } from '../../../test/kit/client/duplex-client.ts'
import { type Answer, takeEmail } from '../src/email.ts'
import { createReceiver, type Receiver } from '../src/receiver.ts'

const SETTINGS = { hostname: 'mx.example.com', domains: ['example.com'] }
const NO_USER = reply(550, '5.1.1', 'No such user')

beforeAll(() => {
  vi.spyOn(console, 'info').mockReturnValue(undefined)
})
afterAll(() => {
  vi.restoreAllMocks()
})

function send<Env extends object>(receiver: Receiver<Env>, env: Env, to: string): Promise<Answer> {
  const chunks = [new TextEncoder().encode('A: b\r\n\r\nx\r\n')]
  const reader = {
    read: async () => ({ done: chunks.length === 0, value: chunks.shift() }),
    cancel: async () => {},
  }
  const raw = { getReader: () => reader }
  return takeEmail(receiver.open(env).server, { from: 'ann@sender.example', to, raw, rawSize: 11 })
}

test('the own hooks are asked first, then the domains of the settings, then the store', async () => {
  const blobs = memory()
  const receiver = createReceiver({
    store: () => blobs,
    settings: SETTINGS,
    handlers: { rcpt: ({ localPart }) => (localPart === 'spam' ? NO_USER : undefined) },
  })
  const answers: Answer[] = []
  for (const to of ['spam@example.com', 'spam@elsewhere.example', 'bob@elsewhere.example', 'bob@example.com']) {
    answers.push(await send(receiver, {}, to))
  }
  expect(answers.map(({ code, text }) => `${code} ${text.slice(0, 5)}`)).toEqual([
    '550 5.1.1',
    '550 5.1.1',
    '550 5.7.1',
    '250 2.0.0',
  ])
  expect((await blobs.list()).keys).toHaveLength(2)
})

test('mail of Email Routing is taken even if TLS is required of connections', async () => {
  const receiver = createReceiver({ store: () => memory(), settings: { ...SETTINGS, tlsRequired: true } })
  expect((await send(receiver, {}, 'bob@example.com')).code).toBe(250)
  const [near, far] = pair({})
  void receiver.open({}).server.accept(far)
  using client = new DuplexClient(near)
  const replies = [await client.reply()]
  for (const line of ['EHLO a.example', 'MAIL FROM:<>']) {
    await client.sendPieces([`${line}\r\n`])
    replies.push(await client.reply())
  }
  expect(replies.map(({ code }) => code)).toEqual([220, 250, 530])
})

test('functions get the environment, and are called once for each environment', async () => {
  interface Env {
    readonly users: readonly string[]
    readonly name: string
  }
  const handlers = vi.fn((env: Env, settings: { readonly hostname: string }) => ({
    rcpt: ({ localPart }: { localPart: string }) =>
      env.users.includes(localPart) ? undefined : reply(550, '5.1.1', `Not at ${settings.hostname}`),
  }))
  const blobs = { first: memory(), second: memory() }
  const receiver = createReceiver<Env>({
    store: (env) => blobs[env.name as 'first' | 'second'],
    settings: (env) => ({ ...SETTINGS, hostname: `${env.name}.example` }),
    handlers,
  })
  const first = { name: 'first', users: ['ann'] }
  const second = { name: 'second', users: ['bob'] }
  expect((await send(receiver, first, 'ann@example.com')).code).toBe(250)
  expect((await send(receiver, first, 'bob@example.com')).text).toBe('5.1.1 Not at first.example')
  expect((await send(receiver, second, 'bob@example.com')).code).toBe(250)
  expect((await send(receiver, second, 'ann@example.com')).text).toBe('5.1.1 Not at second.example')
  expect(handlers).toHaveBeenCalledTimes(2)
  expect((await receiver.open(first).mail.list()).records).toHaveLength(1)
})

test('`kept` gets the record of a message that is stored', async () => {
  const ids: string[] = []
  const receiver = createReceiver({
    store: () => memory(),
    settings: SETTINGS,
    handlers: { kept: ({ id }) => void ids.push(id) },
  })
  const { text } = await send(receiver, {}, 'bob@example.com')
  expect(ids).toEqual([text.split(' ').at(-1)])
})

test('a bucket that is not there is an error that says which binding is missing', () => {
  const env = { POSTERN_HOSTNAME: 'mx.example.com', POSTERN_DOMAINS: '*' }
  expect(() => createReceiver().open(env)).toThrow('the binding MAIL is missing')
  expect(() => createReceiver({ bucket: () => undefined }).open(env)).toThrow('the option `bucket` found no binding')
  expect(() => createReceiver({ bucket: () => null as never }).open(env)).toThrow(
    'the option `bucket` found no binding',
  )
})

test('a binding that is not a bucket is an error at once', () => {
  const env = { POSTERN_HOSTNAME: 'mx.example.com', POSTERN_DOMAINS: '*', MAIL: 'mail' }
  expect(() => createReceiver().open(env)).toThrow('the binding MAIL is not an R2 bucket')
  const other = 'mail' as never
  expect(() => createReceiver({ bucket: () => other }).open(env)).toThrow(
    'what the option `bucket` returns is not an R2 bucket',
  )
})

test.each([
  ['a promise', async () => ({ rcpt: () => NO_USER }), 'handlers: [object Promise] is not an object of functions'],
  ['null', null, 'handlers: null is not an object of functions'],
  ['a number', 5, 'handlers: 5 is not an object of functions'],
  ['a misspelt hook', { rctp: () => NO_USER }, 'handlers: "rctp" is not a hook; the hooks are connect, '],
  ['a hook that is no function', () => ({ rcpt: NO_USER }), 'handlers.rcpt: [object Object] is not a function'],
])('a policy that is %s is an error, because its hooks would not be asked', (_, handlers, text) => {
  const receiver = createReceiver({ store: () => memory(), settings: SETTINGS, handlers: handlers as never })
  expect(() => receiver.open({})).toThrow(text)
})

test('a policy may be an object of a class', async () => {
  class Policy {
    readonly known = 'bob'
    rcpt({ localPart }: { readonly localPart: string }) {
      return localPart === this.known ? undefined : NO_USER
    }
  }
  const receiver = createReceiver({ store: () => memory(), settings: SETTINGS, handlers: new Policy() })
  expect((await send(receiver, {}, 'ann@example.com')).code).toBe(550)
  expect((await send(receiver, {}, 'bob@example.com')).code).toBe(250)
})

test('a hook that throws an object without a text is 451, and is logged', async () => {
  const error = vi.spyOn(console, 'error').mockReturnValue(undefined)
  const thrown: unknown = Object.create(null)
  const rcpt = () => {
    throw thrown
  }
  const receiver = createReceiver({ store: () => memory(), settings: SETTINGS, handlers: { rcpt } })
  expect((await send(receiver, {}, 'bob@example.com')).code).toBe(451)
  expect(error).toHaveBeenCalledWith(expect.stringContaining('an error without a text'))
})
