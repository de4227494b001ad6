/** Which clients the `authenticate` hook logs in, and which answers of it never do. */
import { type AuthAnswer, type ServerOptions, reply } from '@postern/engine'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'
import { SECRET } from './recorder.ts'
import { secondCopy } from '../kit/second-copy.ts'

let other: Awaited<ReturnType<typeof secondCopy>>
beforeAll(async () => {
  other = await secondCopy()
})

const services: Service[] = []
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()))
})

const HOOK_TIMEOUT_MS = 150
const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 5, value))

describe('authenticate', () => {
  const PLAIN = `AUTH PLAIN ${Buffer.from('\0alice\0secret').toString('base64')}`

  async function authenticated(
    answer: () => unknown,
  ): Promise<{ raw: string; after: string; service: Service; client: SocketClient }> {
    const auth = {
      required: true,
      allowWithoutTls: true,
      authenticate: answer as () => AuthAnswer | Promise<AuthAnswer>,
    } satisfies ServerOptions['auth']
    const service = await Service.start({ limits: { hookTimeoutMs: HOOK_TIMEOUT_MS } }, { options: { auth } })
    services.push(service)
    const client = await service.at([EHLO])
    const { raw } = await client.command(PLAIN)
    return { raw, after: short(await client.command(MAIL)), service, client }
  }

  test('logs in the user that it names', async () => {
    for (const answer of [() => ({ user: 'alice' }), () => later({ user: 'alice' })]) {
      const { raw, after, service, client } = await authenticated(answer)
      expect(raw).toMatch(/^235 2\.7\.0 /)
      expect(after).toBe('250 2.1.0')
      expect(service.record(client).session?.user).toBe('alice')
    }
  })

  test.each([
    ['undefined', () => undefined, /^535 5\.7\.8 /],
    ['its own refusal', () => reply(535, '5.7.139', 'Blocked'), /^535 5\.7\.139 Blocked/],
    ['a temporary one', () => reply(454, '4.7.0', 'Later'), /^454 4\.7\.0 Later/],
    ['a refusal of another copy of the engine', () => other.reply(535, '5.7.139', 'Blocked'), /^535 5\.7\.139 Blocked/],
    ['a positive reply of another copy', () => other.reply(235, '2.7.0', 'Welcome'), /^[45]\d\d /],
    ['a positive reply, which names nobody', () => reply(235, '2.7.0', 'Welcome'), /^[45]\d\d /],
    [
      'a throw',
      () => {
        throw new Error(SECRET)
      },
      /^454 4\.7\.0 (?!.*secret)/,
    ],
    ['a rejection', () => Promise.reject(new Error(SECRET)), /^454 4\.7\.0 (?!.*secret)/],
    ['silence', () => new Promise(() => {}), /^454 4\.7\.0 /],
    // An invalid answer of a hook in JavaScript must never log a client in.
    ...[null, true, false, 0, 1, '', 'alice', {}, [], { user: '' }, { user: undefined }, { user: 1 }, { ok: true }].map(
      (garbage) => [JSON.stringify(garbage), () => garbage, /^454 4\.7\.0 /] as const,
    ),
  ] as [string, () => unknown, RegExp][])('does not log a client in with %s', async (_, answer, expected) => {
    for (const way of [answer, () => later(undefined).then(answer)]) {
      const { raw, after, service, client } = await authenticated(way)
      expect(raw).toMatch(expected)
      expect(after).toBe('530 5.7.0')
      expect(service.record(client).session?.user).toBeUndefined()
    }
  })
})
