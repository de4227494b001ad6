/**
 * The contract of every Duplex, as plain data, without a test runner and for any runtime.
 *
 * Each check gets a connection and tests it from one end. It runs from both ends. `makePair` gives connected ends, in clear or
 * already in TLS.
 */
import type { Duplex } from '@postern/engine'
import {
  ascii,
  crossing,
  ensure,
  fill,
  knock,
  listen,
  MiB,
  pattern,
  read,
  readAll,
  readBytes,
  rejects,
  same,
  sha256,
  writeAll,
} from './exchange.ts'
import { sleep, within } from '../../kit/waiting.ts'

/** Makes connected ends that both have this `lingerMs`. */
export type MakePair = (lingerMs: number) => Promise<readonly [Duplex, Duplex]>

/** For checks that end before an end has lingered, also on a busy machine. */
const LONG_LINGER_MS = 10_000
/** For checks that wait until an end has lingered. */
const SHORT_LINGER_MS = 1_000

export interface Check {
  readonly name: string
  /** Only for pairs in clear whose ends can both become TLS. */
  readonly needsStartTls: boolean
  readonly lingerMs: number
  /** The check waits for most of `lingerMs`. */
  readonly isSlow: boolean
  run(makePair: MakePair): Promise<void>
}

type Look = (near: Duplex, far: Duplex) => Promise<void>

function check(
  name: string,
  look: Look,
  traits: Partial<Pick<Check, 'needsStartTls' | 'lingerMs' | 'isSlow'>> = {},
): Check {
  const { needsStartTls = false, lingerMs = LONG_LINGER_MS, isSlow = false } = traits
  async function run(makePair: MakePair): Promise<void> {
    for (const isSwapped of [false, true]) {
      const [one, other] = await makePair(lingerMs)
      try {
        await (isSwapped ? look(other, one) : look(one, other))
      } finally {
        one.destroy()
        other.destroy()
      }
    }
  }
  return { name, needsStartTls, lingerMs, isSlow, run }
}

export const contract: readonly Check[] = [
  check('bytes arrive whole and in order', async (near, far) => {
    const sizes = [1, 2, 1_000, 16_384, 65_536, 100_000, 3]
    const sent = pattern(sizes.reduce((sum, size) => sum + size, 0))
    const received = readBytes(far, sent.byteLength)
    let at = 0
    for (const size of sizes) await near.write(sent.slice(at, (at += size)))
    same(await received, sent)
  }),

  check('bytes arrive whole if they are written one at a time', async (near, far) => {
    const sent = pattern(300)
    const received = readBytes(far, 300)
    for (let at = 0; at < 300; at++) await near.write(sent.slice(at, at + 1))
    same(await received, sent)
  }),

  check('a read answers at once when bytes are waiting', async (near, far) => {
    await near.write(ascii('first'))
    await readBytes(far, 5)
    // On a busy machine the bytes may be late. Then the read gets them later, and the check tries again.
    for (let tries = 1; tries <= 6; tries++) {
      await near.write(ascii('second'))
      for (let waits = 0; waits < 2 ** tries; waits++) await crossing()
      const answer = far.read()
      if (answer instanceof Uint8Array) return
      same((await within(Promise.resolve(answer), 'read')) ?? new Uint8Array(), ascii('second'))
    }
    ensure(false, 'it is a promise')
  }),

  check('a pending read gets what is written later, and both ends may write meanwhile', async (near, far) => {
    const reading = readBytes(near, 5)
    await near.write(ascii('question'))
    same(await readBytes(far, 8), ascii('question'))
    await far.write(ascii('reply'))
    same(await reading, ascii('reply'))
  }),

  check('an empty write changes nothing', async (near, far) => {
    await near.write(new Uint8Array(0))
    await near.write(ascii('x'))
    same(await readBytes(far, 1), ascii('x'))
  }),

  check('a slow reader makes the writer wait, in bounded memory', async (near, far) => {
    const { written, waiting } = await fill(near)
    ensure(written < 64 * MiB, `${written} bytes were taken from the writer`)
    await readBytes(far, written)
    await within(waiting, 'the write that waited')
    await near.write(ascii('on'))
    same(await readBytes(far, 2), ascii('on'))
  }),

  check('10 MiB arrive each way at the same time', async (near, far) => {
    const there = pattern(10 * MiB, 1)
    const back = pattern(10 * MiB, 2)
    const [gotThere, gotBack] = await Promise.all([
      readAll(far),
      readAll(near),
      writeAll(near, there).then(() => near.end()),
      writeAll(far, back).then(() => far.end()),
    ])
    ensure((await sha256(gotThere)) === (await sha256(there)), 'what arrived there differs')
    ensure((await sha256(gotBack)) === (await sha256(back)), 'what came back differs')
  }),

  check('end delivers all written bytes, and then every read gives null', async (near, far) => {
    const sent = pattern(MiB)
    const received = readAll(far)
    await writeAll(near, sent)
    const closed = near.end()
    same(await received, sent)
    for (let again = 0; again < 3; again++) ensure((await read(far)) === null, 'read after the end')
    await far.end()
    await within(closed, 'end')
    ensure((await read(near)) === null, 'read after the close')
  }),

  check('each direction ends by itself', async (near, far) => {
    const closed = near.end()
    ensure((await read(far)) === null, 'the end did not arrive')
    const late = pattern(10_000)
    await writeAll(far, late)
    same(await readBytes(near, late.byteLength), late)
    await within(far.end(), 'the end of the far end')
    ensure((await read(near)) === null, 'the end did not come back')
    await within(closed, 'the end of the near end')
  }),

  // A client may end its direction right behind its last command, and still wants the reply.
  check('what is written after the end of the peer arrives, also if nobody waits for each write', async (near, far) => {
    const sent = pattern(3_000)
    const received = readAll(far)
    void far.end().catch(() => {})
    ensure((await read(near)) === null, 'bytes came')
    for (let at = 0; at < sent.byteLength; at += 500) void near.write(sent.slice(at, at + 500))
    await within(near.end(), 'end')
    same(await received, sent)
  }),
  check('a read that is pending at end gives null when the peer ends', async (near, far) => {
    const reading = read(near)
    const closed = near.end()
    ensure((await read(far)) === null, 'the end did not arrive')
    await within(far.end(), 'the end of the far end')
    ensure((await reading) === null, 'the pending read got bytes')
    await within(closed, 'the end of the near end')
  }),

  check(
    'after end, bytes that nobody reads are dropped, and a later read rejects',
    async (near, far) => {
      const late = pattern(4 * MiB)
      const closed = near.end()
      ensure((await read(far)) === null, 'the end did not arrive')
      await within(writeAll(far, late), 'the write to an end that reads no more')
      await within(far.end(), 'the end of the far end')
      await within(closed, 'the end of the near end')
      await rejects(readAll(near), 'a read over the gap')
    },
    { isSlow: true },
  ),

  check('after end, a slow reader still gets everything', async (near, far) => {
    const closed = near.end()
    const sent = pattern(MiB / 2)
    const writing = writeAll(far, sent).then(() => far.end())
    let at = 0
    for (let chunk = await read(near); chunk !== null; chunk = await read(near)) {
      same(chunk, sent.subarray(at, (at += chunk.byteLength)))
      if (chunk.byteLength > 1_000) await sleep(10)
    }
    ensure(at === sent.byteLength, `the end after ${at} bytes`)
    await within(Promise.all([writing, closed]), 'end')
  }),

  check(
    'after end, the connection is closed if the peer never ends',
    async (near, far) => {
      await within(near.end(), 'end')
      ensure((await read(far)) === null, 'the end did not arrive')
      ensure((await read(near)) === null, 'read after the close')
    },
    { lingerMs: SHORT_LINGER_MS },
  ),

  check('both ends may end at the same time, and more than once', async (near, far) => {
    await within(Promise.all([near.end(), far.end(), near.end(), far.end()]), 'end')
    ensure((await read(near)) === null && (await read(far)) === null, 'read after the close')
  }),

  check('write after end rejects', async (near, far) => {
    const closed = near.end()
    await rejects(near.write(ascii('late')), 'write')
    ensure((await read(far)) === null, 'the late bytes arrived')
    await far.end()
    await closed
  }),

  check('a pending read rejects with the reason of destroy', async (near) => {
    const reading = near.read()
    near.destroy(new Error('because'))
    ensure((await rejects(reading, 'the pending read')).message === 'because', 'another reason')
  }),

  check('a pending write rejects after destroy', async (near) => {
    const { waiting } = await fill(near)
    near.destroy()
    await rejects(waiting, 'the pending write')
  }),

  check('a pending read settles if the peer goes away', async (near, far) => {
    const reading = Promise.resolve(near.read()).catch(() => null)
    far.destroy()
    ensure((await within(reading, 'the pending read')) === null, 'the pending read got bytes')
  }),

  check('a pending write rejects if the peer goes away', async (near, far) => {
    const { waiting } = await fill(near)
    far.destroy()
    await rejects(waiting, 'the pending write')
  }),

  check('after destroy, nothing stays pending and nothing works', async (near) => {
    near.destroy()
    near.destroy(new Error('again'))
    await rejects(near.write(ascii('late')), 'write')
    ensure((await read(near).catch(() => null)) === null, 'read bytes')
    await within(
      near.end().catch(() => {}),
      'end',
    )
  }),

  check('destroy drops unread bytes, and reads reject, even if the peer has ended', async (near, far) => {
    await far.write(ascii('never read'))
    const closed = far.end()
    await crossing()
    near.destroy(new Error('because'))
    ensure((await rejects(near.read(), 'read')).message === 'because', 'another reason')
    await within(
      closed.catch(() => {}),
      'the end of the far end',
    )
  }),

  check('destroy after end closes the connection', async (near) => {
    const closed = near.end()
    near.destroy()
    await within(
      closed.catch(() => {}),
      'end',
    )
    ensure((await read(near)) === null, 'read after the close')
  }),

  check('whenClosed tells of a peer that is gone while nobody reads, once', async (near, far) => {
    const listening = listen(near)
    far.destroy()
    // The peer's end may be all that arrives. What is written after it shows that nobody is there any more.
    await knock(near)
    await within(listening.closed, 'whenClosed')
    near.destroy()
    await near.end().catch(() => {})
    await crossing()
    ensure(listening.timesTold() === 1, `it told ${listening.timesTold()} times`)
  }),

  check("whenClosed does not tell of the peer's end, and tells of the close", async (near, far) => {
    const { closed, timesTold } = listen(near)
    const ended = far.end()
    ensure((await read(near)) === null, 'the end did not arrive')
    await crossing()
    ensure(timesTold() === 0, 'it told of the end')
    await near.write(ascii('reply'))
    same(await readBytes(far, 5), ascii('reply'))
    ensure(timesTold() === 0, 'it told while replies arrive')
    await within(Promise.all([near.end(), ended]), 'the end of both')
    await within(closed, 'whenClosed')
  }),

  check('whenClosed tells of destroy, the last listener alone, and at once after it', async (near) => {
    const [replaced, last] = [listen(near), listen(near)]
    near.destroy()
    const later = listen(near)
    const told = [replaced, last, later].map(({ timesTold }) => timesTold())
    ensure(told.join() === '0,1,1', `it told the listeners ${told.join(', ')} times`)
  }),

  check('each end has the addresses of both ends', async (near, far) => {
    for (const endpoint of [near.local, near.remote, far.local, far.remote]) {
      ensure(['ipv4', 'ipv6', 'unix', 'unknown'].includes(endpoint.family), `family ${endpoint.family}`)
    }
    ensure(near.remote.port === far.local.port && far.remote.port === near.local.port, 'the ports differ')
    ensure(near.remote.address === far.local.address, 'the addresses differ')
  }),

  check(
    'startTls makes both ends TLS once, and bytes flow on',
    async (near, far) => {
      await near.write(ascii('in clear'))
      await readBytes(far, 8)
      const infos = await within(Promise.all([near.startTls?.(), far.startTls?.()]), 'the handshake')
      for (const [index, end] of [near, far].entries()) {
        ensure(/^TLSv1\.[23]$/.test(end.tls?.protocol ?? ''), `protocol ${end.tls?.protocol}`)
        ensure(end.tls === infos[index], 'tls is not what startTls answered')
        ensure(end.startTls === undefined, 'startTls is still there')
      }
      for (const type of ['tls-exporter', 'tls-server-end-point']) {
        const [ours, theirs] = [near, far].map(({ channelBinding }) => channelBinding?.(type))
        if (ours !== undefined && theirs !== undefined) same(ours, theirs)
      }
      for (const { tls, peerCertificates } of [near, far]) {
        const [own] = peerCertificates?.() ?? []
        if (own === undefined) continue
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', own.slice()))
        const hex = Array.from(digest, (octet) => octet.toString(16).padStart(2, '0')).join('')
        ensure(hex === tls?.peerCertificate?.fingerprint, 'peerCertificates begins with another certificate')
      }
      ensure(near.channelBinding?.('tls-unique') === undefined, "it has 'tls-unique'")
      const sent = pattern(MiB)
      const [received] = await Promise.all([readAll(far), writeAll(near, sent).then(() => near.end()), far.end()])
      same(received, sent)
    },
    { needsStartTls: true },
  ),

  check(
    'startTls drops and counts bytes that came before it',
    async (near, far) => {
      await near.write(ascii('EHLO injected\r\n'))
      await crossing()
      const error = await rejects(far.startTls?.(), 'startTls')
      ensure(error.name === 'EarlyBytesError', `it is ${error}`)
      ensure((error as Error & { byteLength: number }).byteLength === 15, 'they were not counted')
      ensure(far.tls === undefined, 'it is TLS')
      const reading = read(far)
      await near.write(ascii('later'))
      const next = await reading
      ensure(next !== null && next[0] === 0x6c, 'a read got them')
    },
    { needsStartTls: true },
  ),

  check(
    'startTls rejects if the peer goes away',
    async (near, far) => {
      const handshake = near.startTls?.()
      far.destroy()
      await rejects(handshake, 'startTls')
    },
    { needsStartTls: true },
  ),

  check(
    'startTls rejects after destroy',
    async (near) => {
      const handshake = near.startTls?.()
      near.destroy()
      await rejects(handshake, 'startTls')
    },
    { needsStartTls: true },
  ),

  check(
    'startTls: a listener of whenClosed from before it is told after it',
    async (near, far) => {
      const { closed, timesTold } = listen(near)
      await within(Promise.all([near.startTls?.(), far.startTls?.()]), 'the handshake')
      await near.write(ascii('under TLS'))
      await readBytes(far, 9)
      ensure(timesTold() === 0, 'it told of the handshake')
      far.destroy()
      await knock(near)
      await within(closed, 'whenClosed')
    },
    { needsStartTls: true },
  ),
]
