/** Raw workerd with the Worker, started with the user's command. */
import { join } from 'node:path'
import { READ_TOKEN } from './reading.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { cleanEnvironment } from '../../../test/kit/postern.ts'

export const START: string = join(import.meta.dirname, '../self-hosted/start.ts')

export interface Workerd extends AsyncDisposable {
  /** STARTTLS. */
  readonly smtp: number
  /** Implicit TLS. */
  readonly smtps: number
  readonly http: number
  readonly running: Daemon
}

export interface WorkerdOptions {
  /** The directory that stores the mail. */
  readonly directory: string
  readonly keyFile?: string
  readonly certFile?: string
  /** Other settings of the Worker. */
  readonly settings?: Readonly<Record<string, string>>
  /** The authority that is trusted for the smarthost. */
  readonly relayCaFile?: string
}

export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const { directory, keyFile, certFile, settings, relayCaFile } = options
  const flags = ['smtp', 'smtps', 'http'].flatMap((socket) => [`--${socket}`, '127.0.0.1:0'])
  flags.push('--directory', directory, '--hostname', 'mx.example.com')
  if (keyFile !== undefined && certFile !== undefined) flags.push('--tls-key', keyFile, '--tls-cert', certFile)
  if (relayCaFile !== undefined) flags.push('--relay-ca', relayCaFile)
  const running = await Daemon.start([process.execPath, START, ...flags], /^ready$/m, {
    env: cleanEnvironment({ POSTERN_DOMAINS: 'example.com', POSTERN_READ_TOKEN: READ_TOKEN, ...settings }),
    isGroup: true,
  })
  const port = (socket: string): number => Number(new RegExp(`^${socket} .*:(\\d+)$`, 'm').exec(running.output)?.[1])
  return {
    smtp: port('smtp'),
    smtps: port('smtps'),
    http: port('http'),
    running,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
