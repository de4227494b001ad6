/** Hooks that only listen cannot change a session: it goes on and ends as usual, whatever they do. */
import { reply } from '@postern/engine'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../kit/waiting.ts'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'
import { SECRET } from './recorder.ts'

const services: Service[] = []
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()))
})

const HOOK_TIMEOUT_MS = 150
const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const RCPT = 'RCPT TO:<b@example.com>'
const REFUSAL = reply(554, '5.7.9', 'No')

function fail(): never {
  throw new Error(SECRET)
}

describe('reset, close and error only listen', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error(SECRET)
      },
    ],
    ['rejects', () => Promise.reject(new Error(SECRET))],
    ['answers with garbage', () => 'no'],
    ['refuses', () => REFUSAL],
    ['never answers', () => new Promise(() => {})],
  ] as [string, () => void][])('reset %s', async (_, answer) => {
    const service = await Service.start({ limits: { hookTimeoutMs: HOOK_TIMEOUT_MS } }, { handlers: { reset: answer } })
    services.push(service)
    const client = await service.at([EHLO, MAIL, 'RSET', MAIL])
    expect(short(await client.command(EHLO))).toBe('250')
    expect(short(await client.command(RCPT))).toBe('503 5.5.1')
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error(SECRET)
      },
    ],
    ['rejects', () => Promise.reject(new Error(SECRET))],
    ['never answers', () => new Promise(() => {})],
  ] as [string, () => void][])('close %s', async (_, answer) => {
    const service = await Service.start({ limits: { hookTimeoutMs: HOOK_TIMEOUT_MS } }, { handlers: { close: answer } })
    services.push(service)
    const client = await service.at([EHLO])
    expect(short(await client.command('QUIT'))).toBe('221 2.0.0')
    await client.closed()
    await eventually(() => service.server.sessionCount === 0, 'the session is over')
    await service.server.close({ graceMs: 100 })
  })

  test('error throws', async () => {
    const service = await Service.start({}, { handlers: { mail: fail, error: fail } })
    services.push(service)
    const client = await service.at([EHLO])
    expect(short(await client.command(MAIL))).toBe('451 4.3.0')
    expect(short(await client.command('NOOP'))).toBe('250 2.0.0')
  })
})
