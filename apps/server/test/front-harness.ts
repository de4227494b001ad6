/** A server that takes pipes in, and fronts before it, each the real program on the runtime that is asked for. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { selfSigned } from '@postern/runtime/tls'
import type { MailRecord } from '@postern/storage'
import { COMMANDS } from '../../../packages/runtime/test/commands.ts'
import { cleanEnvironment, MAIN, scratch } from './program.ts'

export type RuntimeName = keyof typeof COMMANDS
export const RUNTIMES: readonly RuntimeName[] = ['node', 'deno', 'bun']
export const SECRET = 'only-this-test-knows-what-is-written-here'

/** A program that runs until the tests are over, or a signal ends it. */
export interface Process {
  /** In the order of its addresses. */
  readonly ports: readonly number[]
  readonly child: ChildProcess
  /** All that it has written, on either output. */
  output(): string
  /** Waits until the output matches. */
  says(pattern: RegExp): Promise<RegExpExecArray>
  /** Sends a signal and gives the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

export interface Server extends Process {
  readonly store: string
  /** The URL of the pipe. */
  readonly pipe: string
}

/** Starts `postern serve` on Node, for pipes alone unless the flags say more. */
export async function serve(flags: readonly string[] = [], secret: string = SECRET): Promise<Server> {
  const store = join(scratch(), 'mail')
  const running = await start(
    'node',
    ['serve', '--listen', 'ws://127.0.0.1:0/pipe', '--store', `fs:${store}`, ...flags],
    {
      POSTERN_FRONT_SECRET: secret,
    },
  )
  return { ...running, store, pipe: `ws://127.0.0.1:${running.ports[0]}/pipe` }
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
): Promise<Process> {
  const { key, cert } = certificateFiles()
  const tls = hasTls ? ['--tls-key', key, '--tls-cert', cert] : []
  return start(runtime, ['front', '--to', to, ...tls, '--hostname', 'front.example', ...flags], {
    POSTERN_FRONT_SECRET: secret,
  })
}

// Tests run concurrently, so what they leave is ended when all of them are done.
const living = new Map<ChildProcess, Promise<unknown>>()

afterAll(async () => {
  for (const [child] of living) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await Promise.all(living.values())
})

async function start(runtime: RuntimeName, args: readonly string[], env: Record<string, string>): Promise<Process> {
  const [program, ...before] = COMMANDS[runtime]
  const command = [...before, MAIN, ...args, '--log-format', 'json', '--log-level', 'debug']
  const child = spawn(program, command, { cwd: scratch(), env: cleanEnvironment(env) })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  living.set(child, ended)
  let output = ''
  const looks = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      for (const look of looks) look()
    })
  }
  const says = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(output)
        if (match === null) return
        looks.delete(look)
        resolve(match)
      }
      looks.add(look)
      look()
      void ended.then(() => reject(new Error(`ended without ${pattern}:\n${output}`)))
    })
  const [line] = await says(/^\{.*"message":"serving".*$/m)
  const { addresses } = JSON.parse(line) as { addresses: string[] }
  return {
    ports: addresses.map((url) => Number(/:(\d+)(?:\/|$)/.exec(url)?.[1])),
    child,
    output: () => output,
    says,
    end(signal) {
      child.kill(signal)
      return ended
    },
  }
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

/** Memory in use now, in bytes. */
export function residentBytes({ child }: Process): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024
}

/** A file that holds this. */
export function fileOf(content: Uint8Array | string, name: string): string {
  const path = join(scratch(), name)
  writeFileSync(path, content)
  return path
}
