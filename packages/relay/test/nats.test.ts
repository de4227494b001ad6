/** A queue in NATS: who may have what at the same time, what a crash and a server that is away cost, and what is not a queue. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { expect } from 'vitest'
import { type Claim, isQueueError, type Queue, type QueueError } from '@postern/relay'
import { openNatsQueue } from '@postern/relay/nats'
import { all, claimAll, entry, LEASE_MS, namesOf, NOW, statesOf } from '../../../test/contracts/queue/check.ts'
import { NATS } from '../../../test/kit/abilities.ts'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { NatsServer } from '../../../test/kit/nats-server.ts'
import { testWith } from '../../../test/kit/need.ts'
import { eventually } from '../../../test/kit/waiting.ts'

const PROGRAM = resolve(import.meta.dirname, 'nats-program.ts')
/** A process that a busy machine stops for longer would lose its leases. */
const SHORT_LEASE_MS = 15_000
const RUNTIMES = ['node', 'deno', 'bun'] as const

async function refusal(opening: Promise<unknown>): Promise<QueueError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isQueueError(error)) throw new Error(`${String(error)} is not an error of a queue`)
  return error
}

/** Processes that share a queue, and the file that has what they do. */
class Fleet implements AsyncDisposable {
  readonly #server: NatsServer
  readonly #file = join(temporaryDirectory(), 'lines')
  readonly #daemons = new Map<string, Daemon>()

  constructor(server: NatsServer) {
    this.#server = server
    writeFileSync(this.#file, '')
  }

  /** @param limit How many entries it adds */
  async start(runtime: (typeof RUNTIMES)[number], name: string, limit: number): Promise<void> {
    const args = [this.#server.url, this.#file, name, String(SHORT_LEASE_MS), String(limit), 'e']
    this.#daemons.set(name, await Daemon.start([...COMMANDS[runtime], PROGRAM, ...args], /ready/))
  }

  /** Kills a process that has deliveries on their way. */
  async kill(name: string): Promise<void> {
    const isAtWork = (): boolean => {
      // It says nothing more while it is stopped.
      this.#daemons.get(name)?.signal('SIGSTOP')
      if (this.held(name).length > 1) return true
      this.#daemons.get(name)?.signal('SIGCONT')
      return false
    }
    await eventually(isAtWork, `${name} has deliveries on their way`)
    await this.#daemons.get(name)?.end('SIGKILL')
    writeFileSync(this.#file, `K ${name} -\n`, { flag: 'a' })
  }

  lines(): [letter: string, name: string, id: string][] {
    const text = readFileSync(this.#file, 'utf8')
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ') as [string, string, string])
  }

  /** Returns the entries that a process has claimed and not begun to settle. */
  held(name: string): string[] {
    const own = this.lines().filter(([, each]) => each === name)
    const begun = new Set(own.flatMap(([letter, , id]) => (letter === 's' ? [id] : [])))
    return own.flatMap(([letter, , id]) => (letter === 'C' && !begun.has(id) ? [id] : []))
  }

  ids(letter: string): Set<string> {
    return new Set(this.lines().flatMap(([each, , id]) => (each === letter ? [id] : [])))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#daemons.values()].map((daemon) => daemon[Symbol.asyncDispose]()))
  }
}

/** Finds entries that two processes had at the same time, and entries that were claimed after they were settled. */
function faultsOf(lines: readonly (readonly [string, string, string])[]): string[] {
  const holders = new Map<string, string>()
  const settled = new Set<string>()
  const dead = new Set<string>()
  const faults: string[] = []
  for (const [letter, name, id] of lines) {
    if (letter === 'K') dead.add(name)
    if (letter === 's') holders.delete(id)
    if (letter === 'S') settled.add(id)
    if (letter !== 'C') continue
    const holder = holders.get(id)
    if (holder !== undefined && !dead.has(holder)) faults.push(`${id} is held by ${holder} and ${name}`)
    if (settled.has(id)) faults.push(`${id} is claimed by ${name} after it was settled`)
    holders.set(id, name)
  }
  return faults
}

testWith([NATS], 'processes that share a queue never have the same entry at the same time', async () => {
  await using server = await NatsServer.start()
  await using fleet = new Fleet(server)
  for (const runtime of RUNTIMES) await fleet.start(runtime, runtime, 150)
  await eventually(() => fleet.ids('R').size === 450, 'all entries are removed')
  expect(faultsOf(fleet.lines())).toEqual([])
  const workers = new Set(fleet.lines().flatMap(([letter, name]) => (letter === 'C' ? [name] : [])))
  expect(workers.size).toBeGreaterThan(1)
})

testWith(
  [NATS],
  'if a process is killed, the others deliver what it had, and nothing that it was told is lost',
  async () => {
    await using server = await NatsServer.start()
    await using fleet = new Fleet(server)
    for (const runtime of RUNTIMES) await fleet.start(runtime, runtime, 200)
    for (const name of ['node', 'bun']) {
      const before = fleet.ids('C').size
      await eventually(() => fleet.ids('C').size > before + 60, 'entries are claimed')
      await fleet.kill(name)
    }
    await fleet.start('node', 'node-again', 0)
    const isBegun = (): boolean => {
      const begun = fleet.ids('s')
      return [...fleet.ids('A')].every((id) => begun.has(id))
    }
    await eventually(isBegun, 'all entries are delivered')
    await using queue = await openNatsQueue({ servers: [server.url], stream: 'fleet' })
    const isOver = async (): Promise<boolean> =>
      (await queue.list({ limit: 1_000 })).entries.every(({ deliveries }) =>
        deliveries.every(({ state }) => state === 'finished'),
      )
    await eventually(isOver, 'nothing waits')
    expect(faultsOf(fleet.lines())).toEqual([])
    const left = [...fleet.held('node'), ...fleet.held('bun')]
    expect(left.length).toBeGreaterThan(0)
    // Another process has delivered them.
    expect(left.filter((id) => !fleet.ids('s').has(id))).toEqual([])
  },
)

testWith(
  [NATS],
  'a server that goes away and comes back under load loses nothing, and nothing is delivered again',
  async () => {
    await using server = await NatsServer.start()
    await using fleet = new Fleet(server)
    for (const runtime of RUNTIMES) await fleet.start(runtime, runtime, 200)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const before = fleet.ids('R').size
      await eventually(() => fleet.ids('R').size > before + 40, 'entries are removed')
      await server.end(signal)
      await server.start()
    }
    await eventually(() => fleet.ids('a').size === 600, 'all entries are added or refused')
    await eventually(() => [...fleet.ids('A')].every((id) => fleet.ids('S').has(id)), 'all entries are delivered')
    expect(faultsOf(fleet.lines())).toEqual([])
  },
)

/** Opens a queue, and another one as another process does. */
async function pair(server: NatsServer, stream: string): Promise<[Queue, Queue]> {
  const open = (): Promise<Queue> => openNatsQueue({ servers: [server.url], stream, maxLeaseMs: 1_000 })
  return [await open(), await open()]
}

testWith([NATS], 'a process learns what another one adds, claims, holds and removes', async () => {
  await using server = await NatsServer.start()
  const [one, other] = await pair(server, 'shared')
  await using _one = one
  await using _other = other
  await one.add([entry('e1', ['x@a.example']), entry('e2', ['x@a.example'])])
  await eventually(async () => (await other.stats()).entries === 2, 'the entries')
  await one.hold(['e2'])
  await eventually(async () => (await statesOf(other, 'e2'))[0] === 'held', 'the hold')
  await eventually(async () => (await other.changed?.()) === true, 'the change by an administrator')
  let claim: Claim | undefined
  const isClaimed = async (): Promise<boolean> => ([claim] = await claimAll(other))[0] !== undefined
  await eventually(isClaimed, 'the claim')
  expect(claim?.id).toBe('e1')
  expect(await claimAll(one)).toEqual([])
  const isTaken = async (): Promise<boolean> => namesOf(await claimAll(one, NOW + LEASE_MS)).includes('e1 a.example')
  await eventually(isTaken, 'the claim after the lease')
  await other.remove(['e1', 'e2'])
  await eventually(async () => (await one.stats()).entries === 0, 'the removal')
  expect(await one.get('e1')).toBeUndefined()
})

testWith([NATS], 'maxPerDestination counts the leases of all processes', async () => {
  await using server = await NatsServer.start()
  const [one, other] = await pair(server, 'bound')
  await using _one = one
  await using _other = other
  await one.add(['e1', 'e2', 'e3'].map((id) => entry(id, ['x@a.example'])))
  const options = { now: NOW, max: 9, leaseMs: LEASE_MS, maxPerDestination: 2 }
  expect((await one.claim(options)).length).toBe(2)
  await eventually(async () => (await other.nextDueAt()) === NOW, 'the entry that is left')
  expect(await other.claim(options)).toEqual([])
})

testWith(
  [NATS],
  'a full message still takes results: texts are cut, and a report gets a message of its own',
  async () => {
    await using server = await NatsServer.start({ lines: ['max_payload: 16384'] })
    const [queue, other] = await pair(server, 'small')
    await using _queue = queue
    const recipients = Array.from({ length: 50 }, (_, at) => `recipient-${at}@a.example`)
    const refused = await refusal(queue.add([entry('big', [...recipients, ...recipients, ...recipients])]))
    expect(refused.message).toBe(
      'entries: their recipients are more than the max_payload of the NATS server, 16384 bytes, has room for; send the message to fewer at a time',
    )
    expect(refused.code).toBe('invalid')
    await queue.add([entry('e1', recipients)])
    const [claim] = await claimAll(queue)
    const reply = { at: NOW, code: 550, enhancedCode: '5.1.1', text: 'no '.repeat(333), host: 'mx.a.example' }
    const report = entry('report', [`${'s'.repeat(900)}@c.example`], { reversePath: 'r'.repeat(900) })
    const add = Array.from({ length: 8 }, (_, at) => ({ ...report, id: `report-${at}` }))
    expect(await queue.settle([all(claim as Claim, { state: 'failed', reply }, { add })])).toEqual([
      { status: 'settled', isFinished: true },
    ])
    // Another process reads it from the server.
    await other.close()
    await using again = await openNatsQueue({ servers: [server.url], stream: 'small' })
    const found = (await again.get('e1'))?.deliveries[0]?.recipients ?? []
    expect(found.length).toBe(50)
    for (const { state, lastReply } of found) {
      expect([state, lastReply?.code]).toEqual(['failed', 550])
      expect(reply.text.startsWith(lastReply?.text ?? '-')).toBe(true)
    }
    const ids = (await again.list()).entries.map(({ id }) => id)
    expect(ids.toSorted()).toEqual(['e1', ...add.map(({ id }) => id)].toSorted())
  },
)

/** Calls `work` with a connection as another program has it. */
async function withClient(server: NatsServer, work: (nc: NatsConnection) => Promise<void>): Promise<void> {
  const nc = await connect({ servers: `127.0.0.1:${server.port}` })
  try {
    await work(nc)
  } finally {
    await nc.close()
  }
}

testWith([NATS], 'a stream that is no queue, or of a newer version, is refused in one line', async () => {
  await using server = await NatsServer.start()
  await withClient(server, async (nc) => {
    const { streams } = await jetstreamManager(nc)
    await streams.add({ name: 'orders', subjects: ['orders.>'] })
    await streams.add({ name: 'newer', subjects: ['newer.>'], description: 'Postern queue, version 3' })
  })
  const messageOf = async (stream: string, create = true): Promise<string[]> => {
    const { code, message } = await refusal(openNatsQueue({ servers: [server.url], stream, create }))
    return [code, message]
  }
  const name = (stream: string): string => `${server.url} ${stream}`
  expect(await messageOf('orders')).toEqual([
    'other-version',
    `the queue ${name('orders')}: the stream is not a queue of Postern`,
  ])
  expect(await messageOf('newer')).toEqual([
    'other-version',
    `the queue ${name('newer')} is of version 3; this Postern knows versions up to 1`,
  ])
  expect(await messageOf('none', false)).toEqual([
    'not-found',
    `there is no queue ${name('none')}: there is no such stream`,
  ])
  expect(await messageOf('a.b')).toEqual(['invalid', 'stream: "a.b" is not 1 to 64 of A-Z a-z 0-9 _ -'])
})

testWith(
  [NATS],
  'a message of the stream that is damaged or newer is told once, and the other entries are delivered',
  async () => {
    await using server = await NatsServer.start()
    await using queue = await openNatsQueue({ servers: [server.url], stream: 'damaged' })
    await queue.add([entry('e1', ['x@a.example'])])
    await withClient(server, async (nc) => {
      const js = jetstream(nc)
      const texts = ['{', 'null', '{"version":1,"write":"","origin":"","entries":[null]}', '{"version":2}']
      for (const [at, text] of texts.entries()) await js.publish(`damaged.queue.bad${at}`, text)
    })
    const told: string[] = []
    const claimed: Claim[] = []
    await eventually(async () => {
      try {
        claimed.push(...(await claimAll(queue)))
      } catch (error) {
        told.push((error as Error).message)
      }
      return told.length === 4 && claimed.length === 1
    }, 'all are told')
    const entryNamed = (name: string): string => `the entry ${name} of the queue ${server.url} damaged`
    expect(told).toEqual([
      ...['bad0', 'bad1', 'bad2'].map((name) => `${entryNamed(name)} is damaged`),
      `${entryNamed('bad3')} is of version 2; this Postern knows versions up to 1`,
    ])
    expect(namesOf(claimed)).toEqual(['e1 a.example'])
    expect((await queue.list({ messageId: 'e1' })).entries.length).toBe(1)
    // One of the damaged entries may be that of the message.
    expect((await refusal(queue.list({ messageId: 'e2' }))).code).toBe('corrupt')
  },
)

testWith(
  [NATS],
  'a login and TLS are used, and a wrong password is refused in one line that does not tell it',
  async () => {
    const directory = temporaryDirectory()
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const { cert: ca } = await writeCertificate(key, cert)
    const lines = [
      `tls { cert_file: "${cert}", key_file: "${key}" }`,
      'authorization { user: ann, password: "s3cret" }',
    ]
    await using server = await NatsServer.start({ lines })
    const servers = [`tls://localhost:${server.port}`]
    await using queue = await openNatsQueue({ servers, login: { user: 'ann', password: 's3cret' }, tls: { ca } })
    await queue.add([entry('e1', ['x@a.example'])])
    expect(namesOf(await claimAll(queue))).toEqual(['e1 a.example'])
    const wrong = await refusal(
      openNatsQueue({ servers, login: { user: 'ann', password: 'wr0ng' }, tls: { ca }, waits: true }),
    )
    expect([wrong.code, wrong.message]).toEqual([
      'invalid',
      `the queue ${servers[0]} postern: the NATS server refuses the login`,
    ])
    const untrusted = await refusal(openNatsQueue({ servers, login: { user: 'ann', password: 's3cret' } }))
    expect(untrusted.code).toBe('unavailable')
  },
)

testWith(
  [NATS],
  'a queue opens although its server is away, refuses entries, and takes them when the server is there',
  async () => {
    await using server = await NatsServer.start()
    await server.end()
    const told: string[] = []
    await using queue = await openNatsQueue({
      servers: [server.url],
      waits: true,
      events: { lost: ({ code }) => told.push(code), back: () => told.push('back') },
    })
    // A spool that asks for the entry of a message must not hear that there is none.
    const refused = [queue.add([entry('e1', ['x@a.example'])]), queue.list({ messageId: 'e1' }), queue.stats()]
    const codes = (await Promise.all(refused.map(refusal))).map(({ code }) => code)
    expect(codes).toEqual(['unavailable', 'unavailable', 'unavailable'])
    await server.start()
    await queue.add([entry('e2', ['x@a.example'])])
    expect(namesOf(await claimAll(queue))).toEqual(['e2 a.example'])
    expect(told).toEqual(['unavailable', 'back'])
  },
)
