/** Strangers guess passwords over the wire. Mail goes on, and users with the right password can log in. */
import { symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { expect, test, vi } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { CHEAP, user } from '../../../packages/intake/test/hashed.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const { resolve: find } = createRequire(import.meta.url)
const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: [process.execPath],
  deno: [resolve(find('deno/package.json'), '../deno'), 'run', '--no-prompt', '--allow-all', '--unstable-net'],
  bun: ['bun', 'run'],
}
const TIMEOUT_MS = 240_000
/** A check takes two seconds of a core or more, so a wait for it is visible. Nobody knows its password. */
const DEAR = `dear:$scrypt$ln=17,r=8,p=8$${'A'.repeat(22)}$${'A'.repeat(43)}`
const USERS = ['--auth-without-tls', '--users', user('ann', 'right', CHEAP), '--users', DEAR]
/** On Node: one password check in libuv's pool, and every file call waits for it. */
const ONE_POOL_THREAD = { UV_THREADPOOL_SIZE: '1' }
const GUESSER = '127.0.0.2'
const NEIGHBOUR = '127.0.0.3'
const OWNER = '127.0.0.4'

/** Sessions from some address, after EHLO. */
function open(running: Postern, localAddress: string, count: number): Promise<SocketClient[]> {
  const [port = 0] = running.ports
  const options = { localAddress, waitMs: TIMEOUT_MS }
  return Promise.all(Array.from({ length: count }, () => SocketClient.ready(port, options)))
}

async function loginIn(session: SocketClient, name: string, password: string): Promise<string> {
  const reply = await session.command(`AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`)
  return reply.text
}

/** Makes one login in its own session. */
async function login(running: Postern, localAddress: string, name: string, password: string): Promise<string> {
  const [session] = await open(running, localAddress, 1)
  const reply = await loginIn(session as SocketClient, name, password)
  session?.close()
  return reply
}

/** Makes this many guesses at the same time. */
async function guess(running: Postern, localAddress: string, name: string, count: number): Promise<void> {
  const sessions = await open(running, localAddress, count)
  for (const reply of await Promise.all(sessions.map((session) => loginIn(session, name, 'wrong')))) {
    expect(reply).toMatch(/^535 5\.7\.8|^454 4\.7\.0/)
  }
  for (const session of sessions) session.close()
}

/** Guesses until the address would have to wait for longer than a session may last. */
async function guessUntilRefused(running: Postern, localAddress: string, name: string): Promise<void> {
  await guess(running, localAddress, name, 8)
  let reply: string
  do reply = await login(running, localAddress, name, 'wrong')
  while (reply.startsWith('535 5.7.8'))
  expect(reply).toMatch(/^454 4\.7\.0 Too many failed logins/)
}

/** Returns how often AUTH has come so far, as a server with `--debug` logs it. */
function loginsSeen(running: Postern): number {
  return running.stderr.split('"text":"AUTH PLAIN').length - 1
}

test.concurrent.each(sample(Object.entries(RUNTIMES), 1, 1))(
  'on %s mail is stored during password checks, a full line gets 454, and another address is served first',
  { timeout: TIMEOUT_MS },
  async (_, command) => {
    // Its end stops the checks that are left.
    await using running = await serve([...USERS, '--debug'], { command, env: ONE_POOL_THREAD })
    const guessers = await open(running, GUESSER, 65)
    const [neighbour] = (await open(running, NEIGHBOUR, 1)) as [SocketClient]
    const [owner] = (await open(running, OWNER, 1)) as [SocketClient]
    await neighbour.data()

    const order: string[] = []
    const guesses = guessers.map(async (session) => {
      const reply = await loginIn(session, 'dear', 'wrong').catch(() => 'closed')
      order.push(reply.slice(0, 9))
    })
    await vi.waitFor(() => expect(loginsSeen(running)).toBeGreaterThanOrEqual(8), TIMEOUT_MS)
    expect((await neighbour.command('Subject: Hi\r\n\r\nHi\r\n.')).text).toMatch(/^250 /)
    expect(order).toEqual([])
    expect(await loginIn(owner, 'ann', 'right')).toMatch(/^235 /)
    // Some of the 8 guesses that came before the owner are still waiting.
    expect(order.filter((reply) => reply === '535 5.7.8').length).toBeLessThan(8)
    // A line has 64 places.
    await vi.waitFor(() => expect(order).toContain('454 4.7.0'), TIMEOUT_MS)
    expect(running.stderr).toMatch(/"message":"login refused".*"reason":"busy"/)
    for (const session of guessers) session.close()
    await Promise.all(guesses)
  },
)

test.concurrent.each(
  sample(
    Object.entries(RUNTIMES).flatMap(([name, command]) => [[name, 1, command] as const, [name, 2, command] as const]),
    1,
    2,
  ),
)(
  'on %s with %i workers failures delay their address, also on new connections, and no other address',
  { timeout: TIMEOUT_MS },
  async (_, workers, command) => {
    const running = await serve([...USERS, '--workers', String(workers)], { command })
    expect(await login(running, GUESSER, 'ann', 'right')).toMatch(/^235 /)
    await guessUntilRefused(running, GUESSER, 'ann')
    // The result is the same on every worker, and even a right password is not checked. On a slow machine the first
    // login may wait for its turn.
    const next = await Promise.all(Array.from({ length: 12 }, () => login(running, GUESSER, 'ann', 'right')))
    expect(next.filter((reply) => reply.startsWith('454 4.7.0')).length).toBeGreaterThanOrEqual(11)
    expect(running.stderr).toMatch(/"message":"login refused".*"reason":"delayed"/)
    // The account's owner logs in from another address, while many clients guess its password.
    const others = Array.from({ length: 20 }, (_, i) => guess(running, `127.0.1.${i + 1}`, 'ann', 3))
    expect(await login(running, OWNER, 'ann', 'right')).toMatch(/^235 /)
    await Promise.all(others)

    // An address with fewer failures waits, and no other address waits for it.
    await guess(running, NEIGHBOUR, 'nobody', 5)
    const order: string[] = []
    const waiting = login(running, NEIGHBOUR, 'ann', 'right').then((reply) => order.push(`late ${reply.slice(0, 3)}`))
    for (const address of [OWNER, '127.0.0.5']) {
      order.push((await login(running, address, 'ann', 'right')).slice(0, 3))
    }
    await waiting
    expect(order).toEqual(['235', '235', 'late 235'])

    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
  },
)

test.concurrent('refusals of a hook count too, and do not lock out a user who logged in before from that address', async () => {
  const cwd = temporaryDirectory()
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
  writeFileSync(
    join(cwd, 'postern.config.ts'),
    `import { reply } from '@postern/engine'
    export default { handlers: { authenticate: ({ password }) =>
      password === 'down' ? reply(454, '4.7.0', 'Backend is down') :
      password === 'right' ? { user: 'ann' } : reply(535, '5.7.8', 'No') } }`,
  )
  const running = await serve(['--auth-without-tls'], { cwd })
  // If a backend is down, its answer does not say if the password is right.
  for (let i = 0; i < 10; i++) expect(await login(running, GUESSER, 'ann', 'down')).toBe('454 4.7.0 Backend is down')
  expect(await login(running, GUESSER, 'ann', 'right')).toMatch(/^235 /)
  await guessUntilRefused(running, GUESSER, 'bob')
  expect(await login(running, GUESSER, 'ann', 'right')).toMatch(/^235 /)
})

test.concurrent('a stop does not wait for logins that are waiting for their turn', async () => {
  const running = await serve([...USERS, '--debug'])
  await guess(running, GUESSER, 'nobody', 5)
  const [session] = (await open(running, GUESSER, 1)) as [SocketClient]
  const refused = loginIn(session, 'nobody', 'wrong')
  await vi.waitFor(() => expect(loginsSeen(running)).toBe(6), TIMEOUT_MS)
  running.signal('SIGTERM')
  expect(await refused).toMatch(/^454 4\.7\.0 /)
  expect(await running.ended).toBe(0)
})
