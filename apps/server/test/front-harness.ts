/** A server that takes pipes in, and fronts before it, each the real program on the runtime that is asked for. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { selfSigned } from '@postern/runtime/tls'
import type { MailRecord } from '@postern/storage'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { MailServer, Postern } from '../../../test/kit/postern.ts'

export type RuntimeName = keyof typeof COMMANDS
export const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
export const SECRET = 'only-this-test-knows-what-is-written-here'

/** Listens for pipes first. */
class PipeServer extends MailServer {
  /** The URL of the pipe. */
  get pipe(): string {
    return `ws://127.0.0.1:${this.port}/pipe`
  }
}

const LOG = ['--log-format', 'json', '--log-level', 'debug'] as const

/** Starts `postern serve` on Node, for pipes alone unless the flags say more. */
export function serve(flags: readonly string[] = [], secret: string = SECRET): Promise<PipeServer> {
  const store = join(temporaryDirectory(), 'mail')
  const args = ['serve', '--listen', 'ws://127.0.0.1:0/pipe', '--store', `fs:${store}`, ...flags, ...LOG]
  return new PipeServer(store, args, { env: { POSTERN_FRONT_SECRET: secret } }).serving()
}

const certificate = await selfSigned({ hosts: ['localhost', '127.0.0.1'] })

/** The certificate of fronts and servers, and its own authority. */
export function certificateFiles(): { key: string; cert: string } {
  return { key: fileOf(certificate.key, 'key.pem'), cert: fileOf(certificate.cert, 'cert.pem') }
}

/** Starts `postern front`, with the certificate. @param hasTls Without it, the server may be sent more at a time. */
export function startFront(
  runtime: RuntimeName,
  to: string,
  flags: readonly string[] = ['--listen', 'smtp://127.0.0.1:0'],
  secret: string = SECRET,
  hasTls = true,
): Promise<Postern> {
  const { key, cert } = certificateFiles()
  const tls = hasTls ? ['--tls-key', key, '--tls-cert', cert] : []
  const args = ['front', '--to', to, ...tls, '--hostname', 'front.example', ...flags, ...LOG]
  return new Postern(args, { command: COMMANDS[runtime], env: { POSTERN_FRONT_SECRET: secret } }).serving()
}

/** Returns the stored messages, oldest first: the record, and the bytes below the trace header. */
export function kept(store: string): { record: MailRecord; bytes: Buffer; trace: string }[] {
  const files = readdirSync(store, { recursive: true, encoding: 'utf8' }).filter((file) => /^[^.].*\.json$/.test(file))
  return files.toSorted().map((file) => {
    const record = JSON.parse(readFileSync(join(store, file), 'utf8')) as MailRecord
    const whole = readFileSync(join(store, file.replace(/json$/, 'eml')))
    const end = /\r\n(?![ \t])/.exec(whole.toString('latin1'))
    const at = (end?.index ?? 0) + 2
    return { record, bytes: whole.subarray(at), trace: whole.toString('latin1', 0, at) }
  })
}

/** A file that holds this. */
export function fileOf(content: Uint8Array | string, name: string): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, content)
  return path
}
