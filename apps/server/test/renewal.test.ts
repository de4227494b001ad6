/** Certificates are read again when their files change, and the log warns of those that expire. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Logger } from '@logtape/logtape'
import { selfSigned, TlsCredentials } from '@postern/runtime/tls'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { warnOfDates, watchDates } from '../src/serve/tls/dates.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const DAY_MS = 86_400_000

/** Returns the certificate that the server shows. */
async function shown(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerX509Certificate()
  socket.destroy()
  return certificate?.fingerprint256 ?? ''
}

const printOf = (cert: string): string => new X509Certificate(cert).fingerprint256

const OTHERS = RUNTIME_NAMES.filter((name) => name !== 'node')
const CASES = [
  ...['node' as const, ...sample(OTHERS, 1)].map((name) => ({ name, workers: 1 })),
  { name: 'node' as const, workers: 2 },
]

test.each(CASES)(
  'on $name with $workers threads, the server reads changed certificates, and keeps the old ones while they do not fit',
  { timeout: 120_000 },
  async ({ name, workers }) => {
    const cwd = temporaryDirectory()
    const old = await writeCertificate(join(cwd, 'one.key'), join(cwd, 'one.pem'))
    // certbot replaces links, not files.
    symlinkSync('one.key', join(cwd, 'key.pem'))
    symlinkSync('one.pem', join(cwd, 'cert.pem'))
    const flags = ['--tls-key', 'key.pem', '--tls-cert', 'cert.pem', '--log-format', 'json', '--workers', `${workers}`]
    const server = await serve(['--listen', 'smtps://127.0.0.1:0', '--store', 'fs:./mail', ...flags], {
      cwd,
      command: RUNTIMES[name],
    })
    expect(await shown(server.port)).toBe(printOf(old.cert))

    const made = await writeCertificate(join(cwd, 'two.key'), join(cwd, 'two.pem'), { days: 10 })
    rmSync(join(cwd, 'key.pem'))
    symlinkSync('two.key', join(cwd, 'key.pem'))
    await server.says(/"certificates could not be read again; the server keeps the old ones".*does not belong to the/)
    expect(await shown(server.port)).toBe(printOf(old.cert))

    rmSync(join(cwd, 'cert.pem'))
    symlinkSync('two.pem', join(cwd, 'cert.pem'))
    await server.says(/"certificates read again"/)
    await server.says(/"message":"a certificate expires soon".*"daysLeft":9\b/)
    for (let i = 0; i < 4; i++) expect(await shown(server.port)).toBe(printOf(made.cert))

    // The same files, written again, are no news.
    writeFileSync(join(cwd, 'two.pem'), made.cert)
    writeFileSync(join(cwd, 'two.key'), 'broken')
    await server.says(/there is no private key in PEM/)
    expect(await shown(server.port)).toBe(printOf(made.cert))
    const messages = server.log.map(({ message }) => message)
    expect(messages.filter((message) => message === 'certificates read again')).toHaveLength(1)
    expect(messages.filter((message) => message.startsWith('certificates could not'))).toHaveLength(2)
  },
)

describe('warnings of dates', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  /** A logger that keeps its warnings. */
  function listener(): { readonly log: Logger; readonly lines: string[] } {
    const lines: string[] = []
    const warn = (message: string, { host = 'all', subject, daysLeft }: Record<string, unknown>): void => {
      lines.push(`${message}: ${host}, ${subject}, ${daysLeft}`)
    }
    return { log: { warn } as unknown as Logger, lines }
  }

  test('come at once and each day, one line for each certificate, from 14 days before the end', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
    const [main, host] = [
      await selfSigned({ days: 16, hosts: ['a.example'] }),
      await selfSigned({ days: 14, hosts: ['b.example'] }),
    ]
    const { log, lines } = listener()
    vi.advanceTimersByTime(1_000)
    const stop = watchDates(new TlsCredentials({ ...main, sni: { 'b.example': host } }), log)
    const daily = [lines.splice(0)]
    for (let day = 1; day <= 17; day++) {
      vi.advanceTimersByTime(DAY_MS)
      daily.push(lines.splice(0))
    }
    const soon = (name: string, of: string, left: number): string =>
      `a certificate expires soon: ${name}, CN=${of}, ${left}`
    const over = (name: string, of: string, left: number): string =>
      `a certificate has expired: ${name}, CN=${of}, ${left}`
    expect(daily.slice(0, 4)).toEqual([
      [soon('b.example', 'b.example', 13)],
      [soon('b.example', 'b.example', 12)],
      [soon('all', 'a.example', 13), soon('b.example', 'b.example', 11)],
      [soon('all', 'a.example', 12), soon('b.example', 'b.example', 10)],
    ])
    expect(daily.slice(14)).toEqual([
      [soon('all', 'a.example', 1), over('b.example', 'b.example', -1)],
      [soon('all', 'a.example', 0), over('b.example', 'b.example', -2)],
      [over('all', 'a.example', -1), over('b.example', 'b.example', -3)],
      [over('all', 'a.example', -2), over('b.example', 'b.example', -4)],
    ])
    stop()
    vi.advanceTimersByTime(3 * DAY_MS)
    expect(lines).toEqual([])
  })

  test('come for a certificate that is not valid yet, and not for one with time', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * DAY_MS })
    const future = await selfSigned({ hosts: ['c.example'] })
    vi.useRealTimers()
    const { log, lines } = listener()
    warnOfDates(new TlsCredentials({ ...(await selfSigned()), sni: { 'c.example': future } }), log)
    expect(lines).toEqual([expect.stringMatching(/^a certificate is not valid yet: c\.example, CN=c\.example, 39\d$/)])
  })
})
