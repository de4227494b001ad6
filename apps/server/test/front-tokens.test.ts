/** A token of a front opens only one pipe, on any worker and any address of a server. */
import { WebSocket } from 'ws'
import { afterEach, expect, test, vi } from 'vitest'
import { type PipeFacts, pipeHeaders, PipeRefusedError } from '@postern/runtime/websocket'
import { MAX_TOKENS, SharedTokens, tokenTable } from '../src/workers/tokens.ts'
import { serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const secret = 'only-this-test-and-its-server-know-it'
const nobody = { family: 'ipv4', address: '192.0.2.1', port: 1 } as const
const facts: PipeFacts = { remote: nobody, local: nobody, tls: undefined, canStartTls: false, submission: false }

/** Asks for a pipe. Returns the status. */
function ask(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers })
    const end = (status: number | undefined): void => {
      socket.removeAllListeners('error').on('error', () => {})
      socket.terminate()
      resolve(status)
    }
    socket.on('unexpected-response', (_, { statusCode }) => end(statusCode))
    socket.on('open', () => end(101))
    socket.on('error', reject)
  })
}

test.concurrent.each(sample(RUNTIME_NAMES, 1, 9))(
  'a token opens one pipe over three workers and two addresses on %s',
  async (name) => {
    const addresses = ['--listen', 'ws://127.0.0.1:0/pipe', '--listen', 'ws://127.0.0.1:0/pipe']
    const running = await serve(['--workers', '3', ...addresses], {
      command: RUNTIMES[name],
      env: { POSTERN_FRONT_SECRET: secret },
    })
    const [one = '', other = ''] = [...running.stdout.matchAll(/ws:\/\/127\.0\.0\.1:\d+\/pipe/g)].map(([url]) => url)
    for (let round = 0; round < 3; round++) {
      const { authorization } = await pipeHeaders(facts, { secret, url: one })
      // A client that has copied a token can send it anywhere, with any host name.
      const { host } = new URL(one)
      const asked = Array.from({ length: 30 }, (_, i) => ask(i % 2 === 0 ? one : other, { authorization, host }))
      const statuses = await Promise.all(asked)
      expect(statuses.filter((status) => status === 101)).toHaveLength(1)
      expect(statuses.filter((status) => status === 401)).toHaveLength(29)
    }
    await running.says(/"a front was refused".*"its token was used before"/)
  },
)

afterEach(() => void vi.useRealTimers())

test('all workers remember a token until it expires, and no longer', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const table = tokenTable()
  const [one, other] = [new SharedTokens(table), new SharedTokens(table)]
  const expiry = Date.now() + 70_000
  expect(one.add('a token', expiry)).toBe(true)
  expect(other.add('a token', expiry)).toBe(false)
  expect(other.add('another token', expiry)).toBe(true)
  expect(one.add('another token', expiry)).toBe(false)
  vi.advanceTimersByTime(69_000)
  expect(one.add('a token', expiry)).toBe(false)
  vi.advanceTimersByTime(3_000)
  expect(one.add('a token', Date.now() + 70_000)).toBe(true)
})

test('a full table refuses a new token, forgets no valid one, and has room when tokens expire', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const tokens = new SharedTokens(tokenTable())
  const begin = Date.now()
  for (let i = 0; i < MAX_TOKENS; i++)
    expect(tokens.add(`token ${i}`, begin + (i % 2 === 0 ? 30_000 : 70_000))).toBe(true)
  const refused = (): unknown => {
    try {
      return tokens.add('one more', begin + 70_000)
    } catch (error) {
      return error instanceof PipeRefusedError && error.status
    }
  }
  expect(refused()).toBe(503)
  for (let i = 0; i < MAX_TOKENS; i += 997) expect(tokens.add(`token ${i}`, begin + 70_000)).toBe(false)
  vi.advanceTimersByTime(31_500)
  expect(refused()).toBe(true)
  for (let i = 1; i < MAX_TOKENS; i += 2) expect(tokens.add(`token ${i}`, begin + 70_000)).toBe(false)
  for (let i = 1; i < MAX_TOKENS / 2; i++) expect(tokens.add(`later ${i}`, begin + 90_000)).toBe(true)
  expect(() => tokens.add('too late', begin + 90_000)).toThrow(PipeRefusedError)
})
