/** Removing data from a store: by `postern sweep`, and by a running server over time. */
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Logger } from '@logtape/logtape'
import type { Expired, ExpireOptions, MailStore, Swept, SweepOptions } from '@postern/storage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import type { Options } from '../src/config/options.ts'
import { readSettings } from '../src/config/settings.ts'
import { startUpkeep } from '../src/serve/upkeep.ts'
import { folderOf } from '../../../test/peers/store.ts'
import { fill, listed, SAMPLES, sampleId } from './mail.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const samples = Object.values(SAMPLES)
/** The samples are a year old and more. */
const OLD = new Date('2025-11-21T10:00:00Z')

/**
 * Makes a store with all samples, and with leftovers of a killed server.
 * @returns ids, oldest first, and bytes
 */
async function store(): Promise<{ cwd: string; ids: string[]; sizes: number[] }> {
  const cwd = temporaryDirectory()
  const records = await fill(join(cwd, 'mail'), samples)
  const orphan = (n: number): string => `${folderOf(sampleId(n))}/${sampleId(n)}.eml`
  const old = [orphan(100), '.tmp/1-1']
  const young = [orphan(101), '.tmp/1-2']
  for (const name of [...old, ...young]) {
    mkdirSync(dirname(join(cwd, 'mail', name)), { recursive: true })
    writeFileSync(join(cwd, 'mail', name), name)
  }
  for (const name of old) utimesSync(join(cwd, 'mail', name), OLD, OLD)
  return { cwd, ids: records.map(({ id }) => id), sizes: records.map(({ size }) => size) }
}

async function idsIn(cwd: string): Promise<string[]> {
  const { records, corrupt } = await listed(join(cwd, 'mail'))
  expect(corrupt).toEqual([])
  return records.map(({ id }) => id).toReversed()
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0)
const files = (cwd: string): string[] =>
  readdirSync(join(cwd, 'mail'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.endsWith('.postern') && statSync(join(cwd, 'mail', name)).isFile(),
  )

describe.concurrent('postern sweep', () => {
  test('removes old leftovers, and keeps all mail if no limit is given', async () => {
    const { cwd, ids } = await store()
    const { stdout, stderr, code } = await postern(['sweep'], { cwd })
    expect(stdout).toBe(
      'removed leftovers: 1 message, 1 temporary file\nremoved past the retention limits: 0 messages, 0 B\n',
    )
    expect([stderr, code]).toEqual(['', 0])
    expect(await idsIn(cwd)).toEqual(ids)
    expect(files(cwd)).toHaveLength(2 * ids.length + 2)
    expect((await postern(['sweep'], { cwd })).stdout).toContain('removed leftovers: 0 messages, 0 temporary files\n')
  })

  test('keeps the newest mail that fits, and prints JSON', async () => {
    const { cwd, ids, sizes } = await store()
    const { stdout, code } = await postern(['sweep', '--keep-count', '3', '--json'], { cwd })
    expect(JSON.parse(stdout)).toEqual({
      swept: { messages: 1, temporary: 1 },
      expired: { messages: ids.length - 3, bytes: sum(sizes.slice(0, -3)) },
    })
    expect(code).toBe(0)
    expect(await idsIn(cwd)).toEqual(ids.slice(-3))
    expect(files(cwd)).toHaveLength(2 * 3 + 2)
  })

  test('removes all mail that is older than the age in the environment', async () => {
    const { cwd, ids, sizes } = await store()
    const { stdout } = await postern(['sweep', '--json'], { cwd, env: { POSTERN_KEEP_AGE_MS: '30d' } })
    expect(JSON.parse(stdout).expired).toEqual({ messages: ids.length, bytes: sum(sizes) })
    expect(await idsIn(cwd)).toEqual([])
  })

  test.each([
    // Beside a running server this would remove mail that is arriving.
    [['--older-than', '0'], /^postern: --older-than: "0" is not a time such as 1d, from 130m: /],
    [['--older-than', '1d', '--session-timeout-ms', '20h'], / --older-than: "1d" is not .* from 2410m: /],
    [['--store', 'memory:'], /^postern: --store memory: keeps mail only in the running server/],
  ])('refuses %j, and removes nothing', async (flags, line) => {
    const { cwd } = await store()
    const before = files(cwd)
    const { stdout, stderr, code } = await postern(['sweep', ...flags], { cwd })
    expect(stderr).toMatch(line)
    expect(stderr.trimEnd()).not.toContain('\n')
    expect([stdout, code]).toEqual(['', 2])
    expect(files(cwd)).toEqual(before)
  })

  test.each([
    // The unit is missing.
    ['keepAgeMs', '30', '"30" is not a time from 1m, such as 30d, or Infinity'],
    ['keepBytes', '10', '"10" is not a size from 1MiB, such as 25MiB, or Infinity'],
    ['keepCount', '0', '"0" is not a whole number from 1, or Infinity'],
  ])('refuses %s %s as a limit', async (name, value, message) => {
    await expect(readSettings({ [name]: value }, {})).rejects.toThrow(message)
  })

  test("accepts the smallest age that the servers' timeouts allow", async () => {
    const { cwd } = await store()
    const flags = ['--older-than', '4m', '--session-timeout-ms', '1m', '--hook-timeout-ms', '1m', '--json']
    expect(JSON.parse((await postern(['sweep', ...flags], { cwd })).stdout).swept).toEqual({
      messages: 1,
      temporary: 1,
    })
  })
})

describe('a server', () => {
  test.each(sample(Object.entries(COMMANDS), 1, 13))(
    'on %s keeps the newest mail when it starts, and logs what it removed',
    async (_, command) => {
      const { cwd, ids, sizes } = await store()
      const running = await serve(['--log-format', 'json', '--keep-count', '2'], { cwd, command })
      const [, properties] = await running.says(/"removed mail past the retention limits"(.*)/)
      expect(properties).toContain(`"messages":${ids.length - 2}`)
      expect(properties).toContain(`"bytes":${sum(sizes.slice(0, -2))}`)
      expect(running.stderr).toContain('"keeps":"the newest mail, up to 2 messages; older mail is removed"')
      running.signal('SIGTERM')
      expect(await running.ended).toBe(0)
      expect(await idsIn(cwd)).toEqual(ids.slice(-2))
    },
  )

  test('says in its start block how much it keeps', async () => {
    const running = await serve(['--keep-count', '1', '--keep-bytes', '10GB', '--keep-age-ms', '30d'])
    expect(running.stdout).toMatch(
      /^ {2}Keeps +the newest mail, up to 1 message and 10GB and 30d old; older mail is removed$/m,
    )
    expect((await serve([])).stdout).not.toContain('Keeps')
  })

  test('does not start with a store of the config file that lacks a method', async () => {
    const cwd = temporaryDirectory()
    const store = '{ save() {}, load() {}, list() {}, delete() {}, bounce() {}, sweep: 1 }'
    writeFileSync(join(cwd, 'postern.config.mjs'), `export default { store: ${store} }`)
    expect(await postern(['serve', '--config', 'postern.config.mjs'], { cwd })).toMatchObject({
      code: 2,
      stderr:
        'postern: store in postern.config.mjs: it has no sweep(), expire(); a MailStore must have all its methods\n',
    })
  })

  test('goes on if its store cannot remove mail', async () => {
    const cwd = temporaryDirectory()
    const store = `{
      save() {}, load() {}, list() {}, delete() {}, bounce() {},
      sweep() { throw new Error('the broom broke') },
      expire() { throw new Error('the shelf broke') },
    }`
    writeFileSync(join(cwd, 'postern.config.mjs'), `export default { keepCount: 1, store: ${store} }`)
    const running = await serve(['--config', 'postern.config.mjs'], { cwd })
    await running.says(/the broom broke/)
    await running.says(/the shelf broke/)
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
  })
})

describe('as time goes by', () => {
  const HOUR_MS = 3_600_000
  const limits = { keepAgeMs: Infinity, keepCount: 5, keepBytes: Infinity }
  const options = { ...limits, sessionTimeoutMs: 1000, hookTimeoutMs: 1000 } as Options
  const log = { info: () => {}, error: () => {} } as unknown as Logger
  const asked: string[] = []
  let signal: AbortSignal | undefined
  let expiring: Promise<Expired>
  const mail = {
    async sweep(options?: SweepOptions): Promise<Swept> {
      asked.push(`sweep ${options?.olderThanMs}`)
      return { messages: 0, temporary: 0 }
    },
    expire(_, options?: ExpireOptions) {
      asked.push('expire')
      signal = options?.signal
      return expiring
    },
  } as Partial<MailStore> as MailStore

  beforeEach(() => {
    vi.useFakeTimers()
    asked.length = 0
    expiring = Promise.resolve({ messages: 1, bytes: 1 })
  })
  afterEach(() => vi.useRealTimers())

  const passed = (hours: number): Promise<unknown> => vi.advanceTimersByTimeAsync(hours * HOUR_MS)
  const times = (what: string): number => asked.filter((each) => each.startsWith(what)).length

  test('the server sweeps daily and expires hourly, until it stops', async () => {
    const stop = startUpkeep(mail, options, log)
    await passed(0)
    expect(asked).toEqual(['sweep 86400000', 'expire'])
    await passed(23)
    expect([times('sweep'), times('expire')]).toEqual([1, 24])
    await passed(1)
    expect([times('sweep'), times('expire')]).toEqual([2, 25])
    stop()
    expect(signal?.aborted).toBe(true)
    await passed(48)
    expect(asked).toHaveLength(27)
  })

  test('a failed round is tried again, and no round begins while another one runs', async () => {
    expiring = Promise.reject(new Error('not now'))
    startUpkeep(mail, options, log)
    await passed(1)
    expect(times('expire')).toBe(2)
    const { promise, resolve } = Promise.withResolvers<Expired>()
    expiring = promise
    await passed(1)
    await passed(30)
    expect([times('sweep'), times('expire')]).toEqual([1, 3])
    resolve({ messages: 0, bytes: 0 })
    await passed(1)
    // The sweep was due long ago.
    expect([times('sweep'), times('expire')]).toEqual([2, 4])
  })

  test('without limits the server sweeps, and removes nothing by age or size', async () => {
    startUpkeep(mail, { ...options, keepCount: Infinity }, log)
    await passed(3)
    expect(asked).toEqual(['sweep 86400000'])
  })
})
