import type { Duplex } from '@postern/engine'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import { pair } from '../src/memory/index.ts'
import { dial, type DialOptions, listen, type ListenOptions, selfSigned } from '../src/node/index.ts'
import { contract, type MakePair } from './contract.ts'

const lingerMs = 600
const certificate = await selfSigned()
const directory = await mkdtemp(join(tmpdir(), 'postern-runtime-'))
const closers: (() => Promise<void>)[] = []

afterAll(async () => {
  await Promise.all(closers.map((close) => close()))
  await rm(directory, { recursive: true })
})

/** Ends over a real listener: the accepted one, then the dialled one. Made one by one, so that they belong together. */
async function over(listenOptions: ListenOptions, dialOptions: DialOptions): Promise<MakePair> {
  let accepted: (duplex: Duplex) => void
  let last: Promise<unknown> = Promise.resolve()
  const listener = await listen(
    { accept: (duplex) => accepted(duplex) },
    { ...listenOptions, lingerMs, tls: certificate },
  )
  closers.push(() => listener.close())
  const { port } = listener.address
  async function makePair(): Promise<readonly [Duplex, Duplex]> {
    const near = new Promise<Duplex>((resolve) => {
      accepted = resolve
    })
    const far = await dial({
      ...(listenOptions.path === undefined ? { port } : {}),
      ...dialOptions,
      lingerMs,
      tls: { ca: certificate.cert },
    })
    return [await near, far]
  }
  return () => {
    const made = last.then(makePair)
    last = made.catch(() => {})
    return made
  }
}

async function upgraded(): Promise<MakePair> {
  const makePair = await over({ port: 0 }, { host: '127.0.0.1' })
  return async () => {
    const [near, far] = await makePair()
    await Promise.all([near.startTls?.(), far.startTls?.()])
    return [near, far]
  }
}

const path = join(directory, 'socket')
const kinds: readonly { name: string; canStartTls: boolean; make: MakePair }[] = [
  { name: 'memory', canStartTls: true, make: async () => pair({ lingerMs, startTls: true }) },
  { name: 'memory, cut up', canStartTls: true, make: async () => pair({ lingerMs, startTls: true, chunkBytes: 61 }) },
  { name: 'node TCP', canStartTls: true, make: await over({ port: 0, host: '127.0.0.1' }, { host: '127.0.0.1' }) },
  { name: 'node Unix socket', canStartTls: true, make: await over({ path }, { path }) },
  {
    name: 'node implicit TLS',
    canStartTls: false,
    make: await over({ port: 0, implicitTls: true }, { implicitTls: true }),
  },
  { name: 'node STARTTLS', canStartTls: false, make: await upgraded() },
]

describe.each(kinds)('$name', ({ canStartTls, make }) => {
  for (const check of contract) {
    if (check.needsStartTls && !canStartTls) continue
    test.concurrent(check.name, () => check.run(make), 30_000)
  }
})
