/** The greeting, what EHLO offers, and clients that do not wait. RFC 5321 3.1, 4.1.1.1, 4.3.1. */
import { afterAll, describe, expect, test } from 'vitest'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'
import { HOSTNAME, type Profile } from './recorder.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

async function start(profile: Profile = {}, more?: Parameters<typeof Service.start>[1]): Promise<Service> {
  const service = await Service.start(profile, more)
  services.push(service)
  return service
}

async function offered(profile: Profile): Promise<readonly string[]> {
  const service = await start(profile)
  const client = await service.client()
  const { lines } = await client.command('EHLO client.example')
  client.close()
  return lines
}

test('the greeting names the host and ESMTP', async () => {
  const service = await start({}, { options: { banner: 'at your service' } })
  const client = await service.connect()
  const { code, lines, enhancedCode } = await client.reply()
  expect([code, enhancedCode, ...lines]).toEqual([220, '', `${HOSTNAME} ESMTP at your service`])
})

describe('EHLO', () => {
  const ALL = [
    'PIPELINING',
    'SIZE 26214400',
    '8BITMIME',
    'SMTPUTF8',
    'CHUNKING',
    'BINARYMIME',
    'ENHANCEDSTATUSCODES',
    'LIMITS RCPTMAX=1000',
    'DSN',
  ]

  test('offers all extensions that are available', async () => {
    const [host, ...keywords] = await offered({})
    expect(host?.split(' ')[0]).toBe(HOSTNAME)
    expect(keywords.toSorted()).toEqual([...ALL, 'STARTTLS'].toSorted())
  })

  test('does not offer STARTTLS without a certificate', async () => {
    expect(await offered({ withoutCertificate: true })).not.toContain('STARTTLS')
    expect(await offered({ implicitTls: true })).not.toContain('STARTTLS')
    expect(await offered({ disabled: ['STARTTLS'] })).not.toContain('STARTTLS')
  })

  test('does not offer extensions that are switched off', async () => {
    const lines = await offered({ disabled: ['PIPELINING', 'SIZE', 'CHUNKING', 'DSN'] })
    expect(lines.slice(1).toSorted()).toEqual([
      '8BITMIME',
      'ENHANCEDSTATUSCODES',
      'LIMITS RCPTMAX=1000',
      'SMTPUTF8',
      'STARTTLS',
    ])
  })

  test('offers what promises something about later only where the program adds it', async () => {
    const promises = /^(?:DSN|REQUIRETLS|MT-PRIORITY|DELIVERBY|FUTURERELEASE)\b/
    const offers = async (profile: Profile): Promise<string[]> =>
      (await offered(profile)).filter((line) => promises.test(line))
    expect(await offers({ extensions: [] })).toEqual([])
    const extensions = ['DSN', 'REQUIRETLS', 'MT-PRIORITY', 'DELIVERBY', 'FUTURERELEASE'] as const
    expect(await offers({ extensions })).toEqual([
      'DSN',
      'MT-PRIORITY MIXER',
      'DELIVERBY 60',
      expect.stringMatching(/^FUTURERELEASE 900000000 \d{4}-\d\d-\d\dT\d\d:\d\d:00Z$/),
    ])
    expect(await offers({ extensions, implicitTls: true })).toContain('REQUIRETLS')
    expect(await offers({ extensions, disabled: extensions, implicitTls: true })).toEqual([])
  })

  test('offers the limits that are set', async () => {
    const limits = { maxTransactions: 20, maxRecipientDomains: 5, maxRecipients: 1_000_000 }
    expect(await offered({ limits })).toContain('LIMITS MAILMAX=20 RCPTMAX=999999 RCPTDOMAINMAX=5')
    expect(await offered({ disabled: ['LIMITS'] })).not.toContainEqual(expect.stringMatching(/^LIMITS/))
  })

  test('offers the size limit', async () => {
    expect(await offered({ limits: { maxMessageBytes: 1_000 } })).toContain('SIZE 1000')
  })

  test('offers AUTH only if the options allow it on this connection', async () => {
    expect(await offered({ auth: 'with-tls' })).not.toContainEqual(expect.stringMatching(/^AUTH/))
    expect(await offered({ auth: 'with-tls', implicitTls: true })).toContain('AUTH PLAIN LOGIN')
    expect(await offered({ auth: 'always' })).toContain('AUTH PLAIN LOGIN')
  })

  test('HELO offers nothing', async () => {
    const client = await (await start()).client()
    const { raw } = await client.command('HELO client.example')
    expect(raw).toMatch(/^250 mx\.example\.com[^\r]*\r\n$/)
  })
})

describe('a client that talks before the greeting', () => {
  test('is accepted by default', async () => {
    const service = await start()
    const client = await service.connect()
    client.send('EHLO client.example\r\nMAIL FROM:<>\r\n')
    expect((await client.replies(3)).map(short)).toEqual(['220', '250', '250 2.1.0'])
  })

  test('is refused if the policy is on', async () => {
    const service = await start({ greetingDelayMs: 300 })
    const client = await service.connect()
    client.send('EHLO client.example\r\nMAIL FROM:<>\r\n')
    expect((await client.repliesToEnd()).map(short)).toEqual(['554 5.5.0'])
    expect((await service.gone(client)).events).toEqual(['connect', 'close'])
  })

  test('is refused after one octet', async () => {
    const client = await (await start({ greetingDelayMs: 300 })).connect()
    client.send('E')
    expect((await client.repliesToEnd()).map(short)).toEqual(['554 5.5.0'])
  })

  test('is greeted and loses no bytes if it waits for the delay first', async () => {
    const service = await start({ greetingDelayMs: 100 })
    const client = await service.connect()
    expect(await client.isQuiet(50)).toBe(true)
    expect((await client.reply()).code).toBe(220)
    client.send('EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\n')
    expect((await client.replies(3)).map(short)).toEqual(['250', '250 2.1.0', '250 2.1.5'])
  })

  test('is removed if it hangs up during the delay', async () => {
    const service = await start({ greetingDelayMs: 5_000 })
    const client = await service.connect()
    expect(await client.isQuiet(50)).toBe(true)
    client.reset()
    await service.gone(client)
  })
})
