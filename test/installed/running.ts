/** Programs of a test that serve until it is over, and a client that sends them a message by hand. */
import { join } from 'node:path'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { SocketClient } from '../kit/client/socket-client.ts'
import { type Command, COMMANDS } from '../kit/commands.ts'
import { Daemon } from '../kit/daemon.ts'
import { ROOT } from './workspace.ts'

export const NODE_22: string = join(ROOT, 'test/node_modules/node22/bin/node')
/** The runtimes that a user may have, and the entry point of `@postern/runtime` for each. */
export const RUNTIMES: Readonly<
  Record<string, { readonly command: readonly [string, ...string[]]; readonly module: string }>
> = {
  'Node 22': { command: [NODE_22], module: 'node' },
  'Node 24': { command: [process.execPath], module: 'node' },
  Deno: { command: COMMANDS.deno, module: 'deno' },
  Bun: { command: COMMANDS.bun, module: 'bun' },
}

export interface Running extends AsyncDisposable {
  readonly port: number
  /** The command that `postern serve` prints under "List the stored mail"; '' if it has not printed one. */
  readonly listCommand: string
}

/** The last line of each message, so that a test knows which one it reads. */
let count = 0

/** Starts a program, and waits until it prints its port as `pattern` finds it. */
export async function start(
  command: Command,
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  pattern: RegExp,
): Promise<Running> {
  // It has its own group, because `npx` starts a shell, which starts the program.
  const daemon = new Daemon(command, { cwd, env, isGroup: true })
  await daemon.ready(pattern)
  const [, port] = await daemon.says(pattern)
  const [, listCommand = ''] = /^ {2}(.* list\b.*)$/m.exec(daemon.stdout) ?? []
  return { port: Number(port), listCommand, [Symbol.asyncDispose]: () => daemon.kill() }
}

/** Sends a message to c@example.com, after the server has refused `refused`. @returns the text of the message */
export async function sendOne(
  port: number,
  refused?: { readonly address: string; readonly code: number },
): Promise<string> {
  const client = await SocketClient.ready(port)
  const text = `Subject: installed\r\n\r\nMessage ${++count}\r\n`
  await client.command('MAIL FROM:<a@b.example>', 250)
  if (refused !== undefined) await client.command(`RCPT TO:<${refused.address}>`, refused.code)
  await client.command('RCPT TO:<c@example.com>', 250)
  await client.command('DATA', 354)
  await client.command(`${text}.`, 250)
  await client.quit()
  return text
}

/** Returns the only message of a directory, without the trace header. It is for c@example.com. */
export async function kept(directory: string): Promise<string> {
  const store = mailStore(fs(directory))
  const { records } = await store.list()
  const [record] = records
  const recipients = records.flatMap(({ forwardPaths }) => forwardPaths.map(({ address }) => address))
  if (record === undefined || recipients.join() !== 'c@example.com') throw new Error(`kept for ${recipients.join()}`)
  const { body } = await store.load(record.id)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk.slice())
  return Buffer.concat(chunks)
    .toString('latin1')
    .replace(/^Received:.*\r\n(?:[ \t].*\r\n)*/, '')
}
