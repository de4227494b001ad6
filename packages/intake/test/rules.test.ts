/** Rules are found by address and domain, and mistakes in them are told in one line. */
import { type ForwardPath, isReply, type Session } from '@postern/engine'
import { describe, expect, test } from 'vitest'
import { Directory, type RuleData, RuleError, Rules, rulesIn } from '../src/directory/index.ts'
import { rulesGuard, type RulesGuardOptions } from '../src/guards/index.ts'

const session = {} as Session

function to(address: string): ForwardPath {
  const at = address.lastIndexOf('@')
  return { address, localPart: address.slice(0, at), domain: address.slice(at + 1), parameters: new Map() }
}

/** Returns what the guard does with a recipient, in one line. */
async function decided(given: unknown, address: string, options: RulesGuardOptions = {}): Promise<string> {
  const path = to(address)
  const verdict = await rulesGuard(() => new Rules(given), options).rcpt?.(path, session)
  if (isReply(verdict)) return verdict.wire.trimEnd()
  if (path.handling === undefined) return 'no rule'
  return `${path.handling.keeps ? 'keeps' : 'does not keep'}, forwards to [${path.handling.forwardsTo.join(' ')}]`
}

const RULES = [
  { for: 'jane@example.com', do: 'keep' },
  { for: ['example.com', '*.Example.org'], do: 'drop' },
  { for: '*.deep.example.org', do: { refuse: '451 4.7.1 Not now' } },
  { for: 'jane+shop@example.com', do: 'refuse' },
]

describe('a rule', () => {
  test.each([
    ['jane@example.com', 'keeps, forwards to []'],
    ['JANE@EXAMPLE.COM', 'keeps, forwards to []'],
    ['jane+x@example.com', 'keeps, forwards to []'],
    ['jane+shop@example.com', '550 5.7.1 This address receives no mail'],
    ['bob@example.com', 'does not keep, forwards to []'],
    ['bob@sub.example.com', 'no rule'],
    ['bob@a.b.example.org', 'does not keep, forwards to []'],
    ['bob@a.deep.example.org', '451 4.7.1 Not now'],
    ['bob@[192.0.2.1]', 'no rule'],
  ])('of the nearest address or domain decides about %s', async (address, answer) => {
    expect(await decided(RULES, address)).toBe(answer)
  })

  test('holds too for an address that another rule forwards to', async () => {
    const rules = [
      { for: 'a@example.com', do: ['keep', { forward: ['b@example.com', 'x@example.net', 'c@example.com'] }] },
      { for: 'b@example.com', do: { forward: ['y@example.net', 'x@example.net'] } },
      { for: 'c@example.com', do: ['keep', { forward: 'z@example.net' }] },
    ]
    expect(await decided(rules, 'a@example.com')).toBe(
      'keeps, forwards to [y@example.net x@example.net c@example.com z@example.net]',
    )
  })

  test('does not hold for an address elsewhere', async () => {
    const path = { ...to('bob@example.com'), isElsewhere: true as const }
    expect(await rulesGuard(() => new Rules(RULES)).rcpt?.(path, session)).toBeUndefined()
    expect(path.handling).toBeUndefined()
  })

  test('comes after a return of forwarded mail', async () => {
    expect(await decided(RULES, 'x@example.com', { returned: () => 'author@example.net' })).toBe(
      'does not keep, forwards to [author@example.net]',
    )
  })
})

test('the rules of accounts.json are for its domains, and know its separator', () => {
  const read = (rules: readonly RuleData[]): Rules => {
    const data = { domains: ['*.example.com'], separator: '-', rules }
    return rulesIn(data, new Directory(data, { takesRules: true }))
  }
  const rules = read([{ for: 'a@sub.example.com', do: 'drop' }])
  expect(rules.find(to('a-tag@sub.example.com'))).toEqual({ handling: { keeps: false, forwardsTo: [] } })
  expect(rules.find(to('a+tag@sub.example.com'))).toBeUndefined()
  expect(() => read([{ for: 'example.com', do: 'drop' }])).toThrow('"example.com" is not among `domains`; add it there')
})

describe('rules that follow others', () => {
  const first = new Rules([
    { for: 'a@example.com', do: 'drop' },
    { for: 'sub.example.com', do: { forward: 'b@example.com' } },
  ])
  const joined = first.followedBy(
    new Rules(
      [
        { for: 'a@example.com', do: 'keep' },
        { for: 'b@example.com', do: { forward: 'y@example.net' } },
        { for: 'c@example.com', do: 'keep' },
      ],
      { separator: '-' },
    ),
  )
  test.each([
    ['a@example.com', []],
    ['b-tag@example.com', ['y@example.net']],
    ['d@sub.example.com', ['y@example.net']],
  ])('decide about %s where no nearer rule does, and are followed by forwards', (address, forwardsTo) => {
    expect(joined.find(to(address))).toEqual({ handling: { keeps: false, forwardsTo } })
  })

  test('may not lead back to them', () => {
    const others = new Rules([{ for: 'b@example.com', do: { forward: 'z@sub.example.com' } }])
    expect(() => first.followedBy(others)).toThrow(
      'the forward leads back to itself: z@sub.example.com → b@example.com → z@sub.example.com',
    )
  })

  test('may not give a webhook another secret', () => {
    const [one, other] = [24, 32].map((size) => [
      { for: 'w@example.com', do: { webhook: 'https://hook.example/', secret: `whsec_${btoa('x'.repeat(size))}` } },
    ])
    expect(() => new Rules(one).followedBy(new Rules(other))).toThrow('another secret')
  })
})

test('a recipient gets 452 when the message is sent on to too many others', async () => {
  const given = ['wide', 'last'].map((name) => ({
    for: `${name}.example`,
    do: { forward: Array.from({ length: 100 }, (_, at) => `x${at}@far.example`) },
  }))
  const guard = rulesGuard(() => new Rules(given))
  const before: ForwardPath[] = []
  const during = { envelope: { forwardPaths: before } } as unknown as Session
  const answers: unknown[] = []
  for (let at = 0; at < 11; at++) {
    const path = to(`a${at}@${at === 9 ? 'last' : 'wide'}.example`)
    const verdict = await guard.rcpt?.(path, during)
    answers.push(isReply(verdict) ? verdict.code : verdict)
    if (verdict === undefined) before.push(path)
  }
  expect(answers).toEqual([...Array.from({ length: 10 }), 452])
})

/** @param address Forwarded to the next address, 12 times */
const chain = Array.from({ length: 12 }, (_, at) => ({
  for: `a${at}@example.com`,
  do: { forward: `a${at + 1}@example.com` },
}))
const wide = Array.from({ length: 6 }, (_, at) => ({
  for: `a${at}@example.com`,
  do: [0, 1, 2, 3].map((each) => ({ forward: [`a${at + 1}@example.com`, `a${at + 1}+${each}@example.com`] })),
}))

test.each<[unknown, string, string]>([
  ['keep', '', '"keep" is not a list'],
  [['keep'], '[0]', '"keep" is not a rule'],
  [[{ for: 'a@example.com' }], '[0].do', 'it needs at least one of'],
  [[{ do: 'keep' }], '[0].for', 'it needs an address'],
  [[{ for: '*', do: 'keep' }], '[0].for', '"*" is not an address'],
  [[{ for: 'a@*.example.com', do: 'keep' }], '[0].for', '"a@*.example.com" is not'],
  [[{ for: 'a@example.com', do: 'kep' }], '[0].do', '"kep" is not \'keep\''],
  [[{ for: 'a@example.com', do: ['keep', { mail: 'x' }] }], '[0].do[1]', "{ mail: … } is not 'keep'"],
  [[{ for: 'a@example.com', do: ['keep', 'drop'] }], '[0].do[1]', 'drop and refuse stand alone'],
  [[{ for: 'a@example.com', do: ['refuse', { forward: 'b@example.net' }] }], '[0].do[0]', 'drop and refuse'],
  [[{ for: 'a@example.com', do: { refuse: '250 2.0.0 Fine' } }], '[0].do.refuse', '"250 2.0.0 Fine" is not a reply'],
  [[{ for: 'a@example.com', do: { refuse: '421 4.7.0 Bye' } }], '[0].do.refuse', 'is not a reply'],
  [[{ for: 'a@example.com', do: { refuse: '550 4.7.0 No' } }], '[0].do.refuse', 'is not a reply'],
  [[{ for: 'a@example.com', do: { refuse: '550 5.7.0 No\r\n250 OK' } }], '[0].do.refuse', 'is not a reply'],
  [[{ for: 'a@example.com', do: { forward: [] } }], '[0].do.forward', 'it needs an address'],
  [[{ for: 'a@example.com', do: { forward: 'b' } }], '[0].do.forward', '"b" is not an address'],
  [[{ for: 'a@example.com', do: { forward: 'b@example.net', x: 1 } }], '[0].do.x', 'there is no such field'],
  [[{ for: 'a@example.com', do: 'keep', when: 1 }], '[0].when', 'there is no such field; the fields are for, do'],
  [[{ for: ['a@example.com', 'A@Example.com'], do: 'keep' }], '[0].for', 'has a rule already, in rules[0]'],
  [[{ for: 'a@example.com', do: { forward: 'a@example.com' } }], '[0].do', 'leads back to itself: a@example.com → a'],
  [[{ for: 'example.com', do: { forward: 'a@example.com' } }], '[0].do', 'leads back to itself'],
  [
    [
      { for: 'a@example.com', do: { forward: 'b@example.com' } },
      { for: 'b@example.com', do: ['keep', { forward: 'A+tag@example.com' }] },
    ],
    '[0].do',
    'leads back to itself: b@example.com → a+tag@example.com → b@example.com',
  ],
  [
    [
      { for: 'a@example.com', do: { forward: 'b@example.com' } },
      { for: 'b@example.com', do: 'refuse' },
    ],
    '[0].do',
    'it forwards to b@example.com, which rules[1] refuses',
  ],
  [chain, '[0].do', 'more than 10 forwards follow one another'],
  [wide, '[0].do', 'the rule reaches more than 100 addresses'],
])('the rules %j are refused', (given, path, message) => {
  let thrown: unknown
  try {
    void new Rules(given)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(RuleError)
  expect(thrown).toMatchObject({ path, message: expect.stringContaining(message) })
  expect((thrown as Error).message).not.toContain('\n')
})
