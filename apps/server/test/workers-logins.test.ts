/** Logins of a server with workers. The main thread decides them. */
import { type PasswordCheck, randomHash } from '@postern/intake/accounts'
import { type Attempt, LocalLogins } from '@postern/intake/logins'
import { expect, test, vi } from 'vitest'
import { ByHand } from '../../../packages/intake/test/by-hand.ts'
import { LoginDesk, type LoginRequest, RemoteLogins } from '../src/workers/logins.ts'

const expected = randomHash()
const check = (password: string): PasswordCheck => ({ password, expected })
const never = new AbortController().signal

test('logins of all workers share one set of limits, and a worker that ends gives back its places', async () => {
  const runner = new ByHand()
  const local = new LocalLogins({
    runner,
    maxLoginMs: 60_000,
    refusalDelayMs: 0,
    limits: { maxLogins: 2, maxAtOncePerAddress: 1 },
  })
  const join = (): { remote: RemoteLogins; desk: LoginDesk } => {
    const desk: LoginDesk = new LoginDesk(local, (answer) => remote.receive(structuredClone(answer)))
    const remote = new RemoteLogins((request: LoginRequest) => desk.receive(structuredClone(request)))
    return { remote, desk }
  }
  const [dying, other] = [join(), join()]
  const attempt = (await dying.remote.begin({ address: 'a', account: 'ann' }, never)) as Attempt
  void attempt.check(check('any'))
  const gone = new AbortController()
  const waiting = dying.remote.begin({ address: 'a', account: 'bob' }, gone.signal)
  expect(await other.remote.begin({ address: 'b', account: 'ann' }, never)).toBe('busy')
  gone.abort()
  expect(await waiting).toBe('busy')
  const there = (await other.remote.begin({ address: 'b', account: 'ann' }, never)) as Attempt
  const late = other.remote.begin({ address: 'a', account: 'ann' }, never)
  expect(await late).toBe('busy')
  dying.desk.close()
  const next = (await other.remote.begin({ address: 'a', account: 'ann' }, never)) as Attempt
  const checked = next.check(check('right'))
  runner.running[0]?.answer(false)
  await vi.waitFor(() => expect(runner.running).toHaveLength(2))
  runner.running[1]?.answer(true)
  expect(await checked).toBe(true)
  next.end(true)
  there.end(undefined)
})
