/** How new messages are found, with a clock of the test, and what progress shows. */
import { mailStore, type MailStore, StorageError, type WalkMailOptions } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { describe, expect, test } from 'vitest'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { Follower, type FollowOptions } from '../src/cli/reading/follow.ts'
import { Progress } from '../src/cli/reading/progress.ts'

const HOUR_MS = 3_600_000
const NOW = Date.parse('2026-11-21T05:42:00Z')

function followerOf(store: MailStore, options: Partial<FollowOptions>): Follower {
  return new Follower(store, {
    longestMs: 2 * HOUR_MS,
    signal: new AbortController().signal,
    failed: () => {},
    now: () => NOW,
    betweenShortMs: 1,
    betweenLongMs: 1,
    ...options,
  })
}

/** Takes so many messages, and stops. */
async function take(follower: Follower, count: number, stopping: AbortController): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of follower.messages()) if (ids.push(id) === count) stopping.abort()
  return ids
}

describe('a follower', () => {
  test('finds a message that took as long as one can, and none that was there', async () => {
    const store = mailStore(memory())
    const [old, young] = [idAt(NOW - HOUR_MS, 1), idAt(NOW, 2)]
    for (const id of [old, young]) await saveText(store, id)
    const stopping = new AbortController()
    const follower = followerOf(store, { signal: stopping.signal })
    await follower.skipPresent()
    const slow = idAt(NOW - 2 * HOUR_MS + 1000, 3)
    const quick = idAt(NOW + 5, 4)
    await saveText(store, slow)
    await saveText(store, quick)
    expect(await take(follower, 2, stopping)).toEqual([slow, quick])
  })

  test('looks at the last two minutes only, between long looks', async () => {
    const store = mailStore(memory())
    const stopping = new AbortController()
    const sinces: number[] = []
    const watched: MailStore = {
      ...bind(store),
      walk(options: WalkMailOptions = {}) {
        sinces.push(NOW - (options.since?.getTime() ?? 0))
        if (sinces.length === 4) stopping.abort()
        return store.walk(options)
      },
    }
    const follower = followerOf(watched, { signal: stopping.signal, betweenLongMs: 60_000 })
    await follower.skipPresent()
    expect(await take(follower, 1, stopping)).toEqual([])
    expect(sinces).toEqual([2 * HOUR_MS, 2 * HOUR_MS, 120_000, 120_000])
  })

  test('remembers a bounded number of ids, and then looks back less far', async () => {
    const store = mailStore(memory())
    const ids = Array.from({ length: 40 }, (_, index) => idAt(NOW - (40 - index) * 60_000, index))
    for (const id of ids) await saveText(store, id)
    const stopping = new AbortController()
    const sinces: number[] = []
    const watched: MailStore = {
      ...bind(store),
      walk(options: WalkMailOptions = {}) {
        sinces.push(options.since?.getTime() ?? 0)
        return store.walk(options)
      },
    }
    const follower = followerOf(watched, { signal: stopping.signal, maxRemembered: 20 })
    await follower.skipPresent()
    const next = idAt(NOW, 99)
    await saveText(store, next)
    // No message that was forgotten is found again.
    expect(await take(follower, 1, stopping)).toEqual([next])
    expect(sinces.slice(0, 2)).toEqual([NOW - 2 * HOUR_MS, NOW - 10 * 60_000])
  })

  test('tries again while the store fails, and says so once', async () => {
    const store = mailStore(memory())
    const stopping = new AbortController()
    const failures: unknown[] = []
    let calls = 0
    const failing: MailStore = {
      ...bind(store),
      walk(options: WalkMailOptions = {}) {
        if (++calls < 4) throw new StorageError('unavailable', 'the line is cut')
        return store.walk(options)
      },
    }
    const id = idAt(NOW, 1)
    await saveText(store, id)
    const follower = followerOf(failing, { signal: stopping.signal, failed: (error) => failures.push(error) })
    expect(await take(follower, 1, stopping)).toEqual([id])
    expect(failures).toHaveLength(1)
    const denied: MailStore = {
      ...bind(store),
      walk() {
        throw new StorageError('denied', 'no')
      },
    }
    await expect(take(followerOf(denied, {}), 1, stopping)).rejects.toThrow('no')
  })

  test('finds messages in a store that has only pages', async () => {
    const store = mailStore(memory())
    const { walk: _, ...pages } = bind(store)
    const stopping = new AbortController()
    const follower = followerOf(pages, { signal: stopping.signal })
    await saveText(store, idAt(NOW - 1000, 1))
    await follower.skipPresent()
    const ids = [idAt(NOW - 2000, 2), idAt(NOW, 3)]
    for (const id of ids) await saveText(store, id)
    expect(await take(follower, 2, stopping)).toEqual(ids)
  })
})

function bind(store: ReturnType<typeof mailStore>): ReturnType<typeof mailStore> {
  return {
    save: (message, session) => store.save(message, session),
    load: (id) => store.load(id),
    list: (options) => store.list(options),
    walk: (options) => store.walk(options),
    delete: (id) => store.delete(id),
    bounce: (id, bounce) => store.bounce(id, bounce),
    sweep: (options) => store.sweep(options),
    expire: (retention, options) => store.expire(retention, options),
  }
}

describe('progress', () => {
  function screen(isTTY: boolean): {
    isTTY: boolean
    columns: number
    written: string[]
    write(text: string): boolean
  } {
    const written: string[] = []
    return { isTTY, columns: 100, written, write: (text) => written.push(text) > 0 }
  }

  test('shows how many, how much, how fast and how long, a few times a second', () => {
    let ms = 0
    const stream = screen(true)
    const progress = new Progress(true, 10_000, { stream, now: () => ms })
    for (let count = 0; count < 2_000; count++) {
      ms += 1
      progress.add(1024)
    }
    const lines = stream.written.map((text) => text.replace('\r\u001b[K', ''))
    expect(lines).toEqual([
      '1,000 of 10,000 messages, 1000 KiB, 1,000 a second, 9 s left',
      '1,250 of 10,000 messages, 1.2 MiB, 1,000 a second, 9 s left',
      '1,500 of 10,000 messages, 1.5 MiB, 1,000 a second, 9 s left',
      '1,750 of 10,000 messages, 1.7 MiB, 1,000 a second, 9 s left',
      '2,000 of 10,000 messages, 2.0 MiB, 1,000 a second, 8 s left',
    ])
    progress.clear()
    progress.clear()
    expect(stream.written.slice(5)).toEqual(['\r\u001b[K'])
  })

  test('shows nothing if the stream is no terminal, or the work is short', () => {
    let ms = 0
    const pipe = screen(false)
    const quick = screen(true)
    const [long, short] = [
      new Progress(true, undefined, { stream: pipe, now: () => ms }),
      new Progress(true, undefined, { stream: quick, now: () => ms }),
    ]
    for (; ms < 900; ms++) short.add()
    for (; ms < 60_000; ms += 100) long.add()
    for (const progress of [long, short]) progress.clear()
    expect([...pipe.written, ...quick.written]).toEqual([])
  })
})
