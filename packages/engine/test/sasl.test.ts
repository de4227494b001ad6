/** PLAIN and LOGIN without a server: the test passes octets and checks the steps. */
import { describe, expect, test } from 'vitest'
import { reply } from '../src/protocol/grammar/reply.ts'
import type { Accounts, PasswordLogin, Step } from '../src/sasl/mechanism.ts'
import { MECHANISMS, type MechanismName } from '../src/sasl/mechanisms.ts'
import { isSameSecret } from '../src/index.ts'
import { octets } from './protocol.ts'

const ACCOUNTS: Accounts = {
  checkPassword: ({ username, password }) => (password === 'secret' ? { user: username } : undefined),
}

/** Runs an exchange to its end with each response in turn. The first is undefined if there is no initial response. */
async function run(
  name: MechanismName,
  responses: readonly (string | Uint8Array | undefined)[],
  accounts: Accounts = ACCOUNTS,
): Promise<Step | undefined> {
  const exchange = MECHANISMS[name].start(accounts, { hostname: 'mx.example.com', offersChannelBinding: false })
  let step: Step | undefined
  for (const response of responses) {
    step = await exchange.next(typeof response === 'string' ? octets(response) : response)
  }
  return step
}

const ALICE = { user: 'alice' }
const REFUSED = { isRefused: true }
const MALFORMED = { isMalformed: true }

test.each<[MechanismName, (string | undefined)[], Step]>([
  ['PLAIN', ['\0alice\0secret'], ALICE],
  ['PLAIN', [undefined, '\0alice\0secret'], ALICE],
  ['PLAIN', [undefined], { challenge: octets('') }],
  ['PLAIN', ['\0alice\0wrong'], { isRefused: true }],
  ['LOGIN', [undefined, 'alice', 'secret'], ALICE],
  ['LOGIN', ['alice', 'secret'], ALICE],
  ['LOGIN', [undefined], { challenge: octets('Username:') }],
  ['LOGIN', ['alice'], { challenge: octets('Password:') }],
  ['LOGIN', ['alice', 'wrong'], { isRefused: true }],
])('%s gives the right step for %j', async (name, responses, step) => {
  expect(await run(name, responses)).toEqual(step)
})

test.each<[MechanismName, (string | Uint8Array)[]]>([
  ['PLAIN', ['']],
  ['PLAIN', ['alice\0secret']],
  ['PLAIN', ['\0\0secret']],
  ['PLAIN', ['\0alice\0']],
  ['PLAIN', ['\0alice\0secret\0more']],
  ['PLAIN', [Uint8Array.of(0, 0xff, 0, 97)]],
  ['LOGIN', ['', 'secret']],
  ['LOGIN', ['ali\0ce']],
  ['LOGIN', ['alice', Uint8Array.of(0xff)]],
])('%s refuses %j as malformed', async (name, responses) => {
  expect(await run(name, responses)).toEqual(MALFORMED)
})

describe('accounts', () => {
  test('get exactly what the client sent, byte order marks included', async () => {
    const seen: PasswordLogin[] = []
    const accounts: Accounts = { checkPassword: (login) => void seen.push(login) as undefined }
    expect(await run('PLAIN', ['boss\0alice\0\ufeffse cret'], accounts)).toEqual(REFUSED)
    expect(seen).toEqual([
      { mechanism: 'PLAIN', username: 'alice', password: '\ufeffse cret', authorizationId: 'boss' },
    ])
  })

  test('may answer later, and may refuse with their own reply', async () => {
    const busy = reply(454, '4.7.0', 'Later')
    const accounts: Accounts = { checkPassword: () => Promise.resolve(busy) }
    expect(await run('PLAIN', ['\0alice\0secret'], accounts)).toEqual({ isRefused: true, reply: busy })
  })

  test('may answer with the promise of a library', async () => {
    // oxlint-disable-next-line unicorn/no-thenable
    const late = { then: (resolve: (answer: unknown) => void) => resolve({ user: 'alice' }) }
    const accounts: Accounts = { checkPassword: () => late as never }
    expect(await run('PLAIN', ['\0alice\0secret'], accounts)).toEqual(ALICE)
  })

  test('let no client in by a reply that is not a refusal', async () => {
    const accounts: Accounts = { checkPassword: () => reply(235, '2.7.0', 'Welcome') }
    expect(await run('PLAIN', ['\0alice\0secret'], accounts)).toEqual(REFUSED)
  })

  test.each([null, true, 'alice', { user: '' }, { user: 7 }])(
    'that answer %j are reported as a bug',
    async (answer) => {
      const accounts: Accounts = { checkPassword: () => answer as never }
      await expect(run('PLAIN', ['\0alice\0secret'], accounts)).rejects.toThrow(TypeError)
    },
  )

  test('without passwords support neither PLAIN nor LOGIN', () => {
    const supported = (accounts: Accounts): string[] =>
      Object.values(MECHANISMS).flatMap((mechanism) => (mechanism.isSupported(accounts) ? [mechanism.name] : []))
    expect(supported({})).toEqual([])
    expect(supported(ACCOUNTS)).toEqual(['PLAIN', 'LOGIN'])
  })
})

test.each<[number[], number[], boolean]>([
  [[], [], true],
  [[1, 2], [1, 2], true],
  [[1, 2], [1, 3], false],
  [[1, 2], [129, 2], false],
  [[1, 2], [1, 2, 0], false],
  [[1, 2, 0], [1, 2], false],
])('the secrets %j and %j are the same: %s', (one, other, isSame) => {
  expect(isSameSecret(new Uint8Array(one), new Uint8Array(other))).toBe(isSame)
})
