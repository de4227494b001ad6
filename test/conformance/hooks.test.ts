/** Every hook with every kind of answer: at once, later, a refusal, garbage, an error, and none. */
import { type Handlers, Refusal, type Reply, type Verdict, reply } from '@postern/engine'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { type ClientReply, short } from '../kit/client/reply.ts'
import { Service } from './service.ts'
import { secondCopy } from '../kit/second-copy.ts'
import { type Profile, SECRET } from './recorder.ts'

let other: Awaited<ReturnType<typeof secondCopy>>
beforeAll(async () => {
  other = await secondCopy()
})

const services: Service[] = []
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()))
})

const HOOK_TIMEOUT_MS = 150
const REFUSAL = reply(554, '5.7.9', ['No,', 'never'])

type Answer = () => Verdict | Promise<Verdict>

interface Door {
  readonly profile?: Profile
  /** Makes the hook from an answer. */
  readonly hook: (answer: Answer) => Handlers
  /** The lines that the client sends before the hook is called. */
  readonly before: readonly string[]
  /** The bytes that make the server call the hook, whose reply is the last. undefined: the connection itself calls it. */
  readonly send: string | undefined
  readonly replies?: number
  /** The reply without a refusal. */
  readonly accepted: string
  /** True if a refusal closes the connection. */
  readonly closes?: true
}

const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const RCPT = 'RCPT TO:<b@example.com>'

const DOORS: Readonly<Record<string, Door>> = {
  connect: { hook: (answer) => ({ connect: answer }), before: [], send: undefined, accepted: '220', closes: true },
  hello: { hook: (answer) => ({ hello: answer }), before: [], send: EHLO, accepted: '250' },
  mail: { hook: (answer) => ({ mail: answer }), before: [EHLO], send: MAIL, accepted: '250 2.1.0' },
  rcpt: { hook: (answer) => ({ rcpt: answer }), before: [EHLO, MAIL], send: RCPT, accepted: '250 2.1.5' },
  'data, unread': {
    hook: (answer) => ({ data: answer }),
    before: [EHLO, MAIL, RCPT],
    send: 'DATA\r\nhi\r\n.',
    replies: 2,
    accepted: '250 2.0.0',
  },
  'data, read': {
    hook: (answer) => ({
      async data(message) {
        await message.bytes()
        return answer()
      },
    }),
    before: [EHLO, MAIL, RCPT],
    send: 'DATA\r\nhi\r\n.',
    replies: 2,
    accepted: '250 2.0.0',
  },
  'data, by BDAT': {
    hook: (answer) => ({ data: answer }),
    before: [EHLO, MAIL, RCPT],
    send: 'BDAT 4 LAST\r\nhi',
    accepted: '250 2.0.0',
  },
  verify: { hook: (answer) => ({ verify: answer }), before: [], send: 'VRFY x', accepted: '252 2.5.0' },
  expand: { hook: (answer) => ({ expand: answer }), before: [], send: 'EXPN x', accepted: '502 5.5.1' },
  'a command of an extension': {
    hook: () => ({}),
    before: [],
    send: 'XTRA x',
    accepted: '250 2.0.0',
  },
}

async function start(door: Door, answer: Answer, profile: Profile = {}): Promise<Service> {
  const extension = { keyword: 'XTRA', commands: { XTRA: answer } }
  const service = await Service.start(
    { ...door.profile, ...profile },
    { handlers: door.hook(answer), options: { extensions: [extension] } },
  )
  services.push(service)
  return service
}

/** Makes the server call the hook, and returns the reply. */
async function knock(door: Door, service: Service): Promise<{ client: SocketClient; answered: ClientReply }> {
  if (door.send === undefined) {
    const client = await service.connect()
    return { client, answered: await client.reply() }
  }
  const client = await service.at(door.before)
  client.send(`${door.send}\r\n`)
  const answered = (await client.replies(door.replies ?? 1)).at(-1) as ClientReply
  return { client, answered }
}

async function goesOn(door: Door, client: SocketClient): Promise<void> {
  if (door.closes === true) expect(await client.closed()).toBe('end')
  else expect(short(await client.command('NOOP'))).toBe('250 2.0.0')
}

const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 5, value))

describe.each(Object.entries(DOORS))('%s', (_, door) => {
  test.each([
    ['at once', () => undefined],
    ['later', () => later(undefined)],
  ] as [string, Answer][])('accepts %s', async (_, answer) => {
    const { client, answered } = await knock(door, await start(door, answer))
    expect(short(answered)).toBe(door.accepted)
    expect(short(await client.command('NOOP'))).toBe('250 2.0.0')
  })

  test.each([
    ['at once', () => REFUSAL],
    ['later', () => later(REFUSAL)],
    [
      'by throwing a Refusal',
      () => {
        throw new Refusal(REFUSAL)
      },
    ],
    ['by rejecting with a Refusal', () => Promise.reject(new Refusal(REFUSAL))],
  ] as [string, Answer][])('refuses with its own reply %s', async (_, answer) => {
    const { client, answered } = await knock(door, await start(door, answer))
    expect(answered.raw).toBe('554-5.7.9 No,\r\n554 5.7.9 never\r\n')
    await goesOn(door, client)
  })

  test.each([
    [
      'at once',
      () => {
        throw new Error(SECRET)
      },
    ],
    ['later', () => later(undefined).then(() => Promise.reject(new Error(SECRET)))],
  ] as [string, Answer][])('throws %s', async (_, answer) => {
    const service = await start(door, answer)
    const { client, answered } = await knock(door, service)
    expect(short(answered)).toMatch(door.closes === true ? /^4[25]1 4\.3\.0$/ : /^451 4\.3\.0$/)
    expect(answered.raw).not.toContain(SECRET)
    expect(service.record(client).errors.map(String)).toEqual([`Error: ${SECRET}`])
    await goesOn(door, client)
  })

  test.each([
    ['a reply', () => other.reply(554, '5.7.9', ['No,', 'never'])],
    ['a promise of one', () => later(other.reply(554, '5.7.9', ['No,', 'never']))],
    [
      'a Refusal, which it throws',
      () => {
        throw new other.Refusal(other.reply(554, '5.7.9', ['No,', 'never']))
      },
    ],
  ] as [string, Answer][])('refuses with %s of another copy of the engine', async (_, answer) => {
    const { client, answered } = await knock(door, await start(door, answer))
    expect(answered.raw).toBe('554-5.7.9 No,\r\n554 5.7.9 never\r\n')
    await goesOn(door, client)
  })

  // What another copy made is looked at again, because that copy may have another version, or a bug.
  test.each([
    ['code', { code: 99 }],
    ['code', { code: 250.5 }],
    ['code', { code: '550' }],
    ['enhanced code', { enhancedCode: '2.0.0' }],
    ['enhanced code', { enhancedCode: '5.0.0\r\n250 2.0.0 fake' }],
    ['enhanced code', { enhancedCode: undefined }],
    ['text', { lines: ['No\r\n250 2.0.0 fake'] }],
    ['text', { lines: ['x'.repeat(2_000)] }],
    ['text', { lines: Array.from({ length: 101 }, () => 'No') }],
    ['text', { lines: [1] }],
  ])('refuses with 451 where the %s of another copy’s reply is not valid: %j', async (_, change) => {
    const tampered = Object.defineProperties(
      other.reply(550, '5.7.1', 'No'),
      Object.fromEntries(Object.entries(change).map(([name, value]) => [name, { value }])),
    )
    const throwing = (): never => {
      throw new Refusal(tampered)
    }
    for (const answer of [() => tampered, throwing]) {
      const service = await start(door, answer)
      const { client, answered } = await knock(door, service)
      expect(short(answered)).toMatch(door.closes === true ? /^4[25]1 4\.3\.0$/ : /^451 4\.3\.0$/)
      expect(service.record(client).errors.map(String)).toEqual([
        expect.stringMatching(/it is not a valid Reply; return reply\(|return a Reply of |a Refusal needs a Reply of /),
      ])
      await goesOn(door, client)
    }
  })

  test('a Refusal that would accept is 451', async () => {
    const service = await start(door, () => {
      throw new Refusal(reply(250, '2.0.0', SECRET))
    })
    const { client, answered } = await knock(door, service)
    expect(short(answered)).toMatch(door.closes === true ? /^4[25]1 4\.3\.0$/ : /^451 4\.3\.0$/)
    expect(service.record(client).errors.map(String)).toEqual(['Refusal: a Refusal needs a Reply of 4xx or 5xx'])
  })

  test('the report of an invalid answer names the hook, and what to return instead of a plain object', async () => {
    const service = await start(door, () => ({ code: 550, lines: ['No'] }) as unknown as Verdict)
    const { client } = await knock(door, service)
    expect(service.record(client).errors.map(String)).toEqual([
      expect.stringMatching(
        /^TypeError: the hook \w+ gave an invalid answer: it is not a valid Reply; return reply\(550, '5\.7\.1', /,
      ),
    ])
  })

  const GARBAGE: readonly (readonly [string, unknown])[] = [
    ['null', null],
    ['true', true],
    ['false', false],
    ['a number', 550],
    ['a string', '550 no'],
    ['an object', {}],
    [
      'an object that looks like a reply',
      { code: 250, enhancedCode: '2.0.0', lines: [SECRET], wire: `250 ${SECRET}\r\n` },
    ],
    ['a reply that goes on to something else', reply(354, '', 'Go ahead')],
  ]
  test.each(GARBAGE)('answers with %s', async (_, garbage) => {
    for (const answer of [() => garbage, () => later(garbage)]) {
      const service = await start(door, answer as Answer)
      const { client, answered } = await knock(door, service)
      expect(short(answered)).toMatch(door.closes === true ? /^4[25]1 4\.3\.0$/ : /^451 4\.3\.0$/)
      expect(answered.raw).not.toContain(SECRET)
      expect(service.record(client).errors).toHaveLength(1)
      await goesOn(door, client)
    }
  })

  test('never answers', async () => {
    const service = await start(door, () => new Promise(() => {}), { limits: { hookTimeoutMs: HOOK_TIMEOUT_MS } })
    const { client, answered } = await knock(door, service)
    expect(short(answered)).toMatch(door.closes === true ? /^4[25]1 4\.3\.0$/ : /^451 4\.3\.0$/)
    await goesOn(door, client)
  })

  test('answers too late, and the answer is ignored', async () => {
    let say: ((verdict: Reply) => void) | undefined
    const late = new Promise<Reply>((resolve) => {
      say = resolve
    })
    const service = await start(door, () => late, { limits: { hookTimeoutMs: HOOK_TIMEOUT_MS } })
    const { client, answered } = await knock(door, service)
    expect(answered.code).toBeLessThan(500)
    say?.(REFUSAL)
    await goesOn(door, client)
  })

  test('hangs up with 421', async () => {
    const service = await start(door, () => reply(421, '4.7.1', 'Go away'))
    const { client, answered } = await knock(door, service)
    expect(short(answered)).toBe('421 4.7.1')
    expect(await client.closed()).toBe('end')
  })

  test('answers with text that is not allowed in a reply', async () => {
    const text = `a\r\n250 2.0.0 fake\nb\0\x07ü${'x'.repeat(2_000)}`
    const service = await start(door, () => reply(550, '5.7.1', text))
    const { client, answered } = await knock(door, service)
    // The client fails if a line is malformed or too long.
    expect(answered.code).toBe(550)
    expect(answered.lines.map((line) => line.slice(0, 22))).toEqual([
      '5.7.1 a',
      '5.7.1 250 2.0.0 fake',
      `5.7.1 b???${'x'.repeat(12)}`,
    ])
    await goesOn(door, client)
  })

  test('leaves out the enhanced code', async () => {
    const { client, answered } = await knock(door, await start(door, () => reply(550, '', 'No')))
    // The enhanced code is optional before EHLO, and required after it (RFC 2034 4).
    if (door.send !== undefined && door.before.length > 0) expect(short(answered)).toBe('550 5.0.0')
    else expect(answered.code).toBe(550)
    await goesOn(door, client)
  })
})

test('the client gets a positive reply of a hook unchanged', async () => {
  const answers = {
    mail: reply(250, '2.1.9', 'm'),
    rcpt: reply(251, '2.1.5', 'r'),
    data: reply(250, '2.6.0', 'd'),
    verify: reply(250, '2.1.5', 'v'),
  }
  const handlers = Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, () => answer])) as Handlers
  const service = await Service.start({}, { handlers })
  services.push(service)
  const client = await service.at([EHLO])
  client.send(`${MAIL}\r\n${RCPT}\r\nVRFY x\r\nDATA\r\n.\r\n`)
  expect((await client.replies(5)).map(({ raw }) => raw)).toEqual([
    answers.mail.wire,
    answers.rcpt.wire,
    answers.verify.wire,
    expect.stringMatching(/^354 /),
    answers.data.wire,
  ])
})

describe('secure', () => {
  const secure = async (answer: Answer, profile: Profile = {}): Promise<Service> => {
    const service = await Service.start(profile, { handlers: { secure: answer } })
    services.push(service)
    return service
  }

  test.each([
    ['refuses', () => REFUSAL, /^554-5\.7\.9 No,\r\n554 5\.7\.9 never\r\n$/],
    ['throws', () => Promise.reject(new Error(SECRET)), /^4[25]1 4\.3\.0 (?!.*secret)/],
    ['answers with garbage', () => 'yes' as unknown as Verdict, /^4[25]1 4\.3\.0 /],
    ['never answers', () => new Promise<undefined>(() => {}), /^4[25]1 4\.3\.0 /],
  ] as [string, Answer, RegExp][])('%s', async (_, answer, expected) => {
    const limits = { hookTimeoutMs: HOOK_TIMEOUT_MS }
    const client = await (await secure(answer, { limits })).at([EHLO, 'STARTTLS'])
    await client.startTls()
    client.send(`${EHLO}\r\n${MAIL}\r\n`)
    expect((await client.repliesToEnd()).map(({ raw }) => raw)).toEqual([expect.stringMatching(expected)])

    const implicit = await secure(answer, { implicitTls: true, limits })
    const other = await implicit.connect()
    await other.startTls()
    expect((await other.repliesToEnd()).map(({ raw }) => raw)).toEqual([expect.stringMatching(expected)])
  })
})
