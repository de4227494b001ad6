/** A server whose store is an S3 bucket behind a proxy, and the objects that remain after faults. */
import { resolve } from 'node:path'
import { mailStore } from '@postern/storage'
import { s3, type S3Options } from '@postern/storage/s3'
import { expect } from 'vitest'
import type { S3Server } from '../../packages/storage/test/servers/server.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { Load, type Sent } from './load.ts'
import { FaultProxy } from './proxy.ts'
import { countRow, type RowCounts } from './row.ts'
import { S3Shelf } from './s3-shelf.ts'

const CONFIG = resolve(import.meta.dirname, 's3.config.ts')
/** Deadlines. For faults that pass, they are so long that they never expire. For faults that stay, they are short. */
export const PATIENCE = {
  long: { idleTimeoutMs: 3_000, attemptMs: 30_000, deadlineMs: 60_000 },
  short: { idleTimeoutMs: 500, attemptMs: 1_000, deadlineMs: 2_000 },
} as const
export type Patience = keyof typeof PATIENCE
const HOOK_TIMEOUT_MS = 120_000
/** A secret that must not be in a log. It is signed, but the server does not check it. */
const SESSION_TOKEN = 'session-token-that-nobody-may-read'
const SETTLE_MS = 10_000
const MAX_TRIES = 20

export interface LaneOptions {
  readonly s3: S3Server
  readonly bucket: string
  readonly prefix: string
  readonly command: readonly [string, ...string[]]
  readonly patience: Patience
}

export class Lane {
  readonly proxy: FaultProxy
  readonly server: MailServer
  readonly shelf: S3Shelf
  readonly load: Load = new Load(1)
  readonly #options: S3Options
  readonly #secrets: readonly string[]

  private constructor(proxy: FaultProxy, server: MailServer, shelf: S3Shelf, options: S3Options, secret: string) {
    this.proxy = proxy
    this.server = server
    this.shelf = shelf
    this.#options = options
    this.#secrets = [secret, SESSION_TOKEN, 'AWS4-HMAC', 'Signature=']
  }

  static async open({ s3: of, bucket, prefix, command, patience }: LaneOptions): Promise<Lane> {
    const { port, pathname } = new URL(of.endpoint)
    const basePath = pathname === '/' ? '' : pathname
    const proxy = await FaultProxy.to({ port: Number(port), basePath })
    // R2's server refuses a token that it did not issue.
    const token = of.name === 'r2' ? {} : { sessionToken: SESSION_TOKEN }
    const options: S3Options = {
      bucket,
      prefix,
      region: of.region,
      endpoint: `http://127.0.0.1:${proxy.port}${basePath}`,
      credentials: { ...of.credentials, ...token },
      ...PATIENCE[patience],
    }
    const flags = ['--config', CONFIG, '--hook-timeout-ms', String(HOOK_TIMEOUT_MS)]
    const server = await serveMail({ store: '', command, flags, env: { TEST_S3: JSON.stringify(options) } })
    return new Lane(proxy, server, new S3Shelf(of, bucket, prefix), options, of.credentials.secretAccessKey)
  }

  send(sizes: readonly number[]): Promise<readonly Sent[]> {
    return this.load.send(this.server.port, sizes)
  }

  /** Sends refused messages again until all are accepted. With short deadlines a busy machine may need several tries. */
  async sendAgain(batch: readonly Sent[]): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const refused = batch.filter(({ id }) => id === undefined)
      if (refused.length === 0) return
      await this.load.sendAgain(this.server.port, refused)
    }
  }

  count(batch: readonly Sent[]): Promise<RowCounts> {
    return countRow(batch, this.load, this.shelf)
  }

  /** Lifts all faults. A hanging request hangs until the server cancels it. */
  async mend(): Promise<void> {
    this.proxy.liftAll()
    await this.proxy.listen()
  }

  /** Removes uncommitted data of any age. @returns how much it was. */
  async sweep(): Promise<number> {
    // Servers give times in whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const { messages, temporary } = await mailStore(s3({ ...this.#options, ...PATIENCE.long })).sweep({
      olderThanMs: 0,
    })
    return messages + temporary
  }

  /** Waits until the server has no open request to S3. */
  async settled(): Promise<void> {
    const isQuiet = (): Promise<void> =>
      expect.poll(() => this.proxy.underWay, { timeout: SETTLE_MS, interval: 20 }).toBe(0)
    // The proxy does not notice that a client has left while it does not read its body.
    await isQuiet().catch(() => this.proxy.cutConnections())
    await isQuiet()
  }

  /** Fails if the log has a secret, or a part of a signed request. */
  expectNoSecrets(): void {
    const log = this.server.stderr
    for (const secret of this.#secrets) {
      expect(log.includes(secret), `the log has ${secret}`).toBe(false)
    }
    for (const { authorization } of this.proxy.noted) {
      const signature = /Signature=(\w+)/.exec(authorization)?.[1]
      if (signature !== undefined) expect(log.includes(signature), 'the log has a signature').toBe(false)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.proxy[Symbol.asyncDispose]()
  }
}
