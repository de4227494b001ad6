/** The server for real clients: every kind of port, a certificate, a user, and rules. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { PASSWORD_HASH, USER } from '../contracts/wire/user.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { difference, type Kept, protocolOf } from './store.ts'
import { writeCertificate } from '../kit/certificate.ts'
import { Scratch } from '../kit/scratch.ts'

export interface Served extends AsyncDisposable {
  readonly server: MailServer
  readonly scratch: Scratch
  readonly store: string
  /** PEM: the certificate, which signs itself, for 127.0.0.1 and localhost. */
  readonly ca: string
  readonly caFile: string
  /** Ports by their use. */
  readonly smtp: number
  readonly smtps: number
  readonly submission: number
  readonly submissions: number
}

export async function serveClients(flags: readonly string[] = []): Promise<Served> {
  const scratch = await Scratch.make()
  const { keyFile, caFile, ca } = await makeCertificate(scratch)
  const store = scratch.join('mail')
  const server = await serveMail({
    store,
    listen: ['smtp', 'smtps', 'submission', 'submissions'].map((scheme) => `${scheme}://127.0.0.1:0`),
    flags: [
      `--tls-key=${keyFile}`,
      `--tls-cert=${caFile}`,
      `--users=${USER}:${PASSWORD_HASH}`,
      `--config=${join(import.meta.dirname, 'rules.config.ts')}`,
      ...flags,
    ],
  })
  const [smtp, smtps, submission, submissions] = server.ports as [number, number, number, number]
  return {
    server,
    scratch,
    store,
    ca,
    caFile,
    smtp,
    smtps,
    submission,
    submissions,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** Writes a key and a certificate for this machine. */
export async function makeCertificate(
  scratch: Scratch,
): Promise<{ readonly keyFile: string; readonly caFile: string; readonly ca: string }> {
  const keyFile = scratch.join('key.pem')
  const caFile = scratch.join('cert.pem')
  const hosts = ['localhost', 'mx.postern.example', '127.0.0.1']
  const { cert } = await writeCertificate(keyFile, caFile, { hosts, days: 2 })
  return { keyFile, caFile, ca: cert }
}

/** The expected facts about a kept message. */
export interface Facts {
  /** The `with` keyword. */
  readonly by: string
  readonly from?: string
  readonly to?: readonly string[]
  readonly bytes?: Buffer
  readonly user?: string
  readonly tls?: RegExp
}

/** Compares a message, its record and its trace header with the expected facts. */
export function expectKept(kept: Kept, { by, from, to, bytes, user, tls = /^TLSv1\.[23]$/ }: Facts): void {
  const { record, trace } = kept
  const { session } = record
  const isSecure = /SA?$/.test(by)
  expect(protocolOf(kept)).toBe(by)
  expect(session.transmissionType).toBe(by)
  expect(session.user).toBe(by.endsWith('A') ? (user ?? USER) : undefined)
  expect(session.remote).toMatchObject({ family: 'ipv4', address: '127.0.0.1' })
  if (isSecure) {
    expect(session.tls?.protocol).toMatch(tls)
    expect(session.tls?.cipher).toMatch(/^TLS_/)
    expect(trace).toContain(`(${session.tls?.protocol} ${session.tls?.cipher})`)
  } else {
    expect(session.tls).toBeUndefined()
    expect(trace).not.toContain('TLS')
  }
  expect(trace).toContain(`id ${record.id}`)
  expect(trace).toContain('by mx.postern.example')
  expect(trace).toMatch(/\(\[127\.0\.0\.1\]\)/)
  if (from !== undefined) expect(record.reversePath.address).toBe(from)
  if (to !== undefined) expect(record.forwardPaths.map((path) => path.address)).toEqual(to)
  if (bytes !== undefined) expect(difference(kept.bytes, bytes)).toBeUndefined()
}
