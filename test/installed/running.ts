/** Programs of a test that serve until it is over, and a client that sends them a message by hand. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { RawClient } from '../corpus/raw-client.ts'
import { within } from '../kit/waiting.ts'
import { LONG_MS } from './project.ts'

export interface Running extends AsyncDisposable {
  readonly port: number
}

/** The last line of each message, so that a test knows which one it reads. */
let count = 0

/** Starts a program, and waits until it prints its port as `pattern` finds it. */
export async function start(
  [file, ...args]: readonly [string, ...string[]],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  pattern: RegExp,
): Promise<Running> {
  // In a group of its own: `npx` starts a shell, which starts the program.
  const child = spawn(file, args, { cwd, env, detached: true })
  const ended = once(child, 'close')
  let output = ''
  const port = new Promise<number>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      output += chunk.toString()
      const found = pattern.exec(output)
      if (found !== null) resolve(Number(found[1]))
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('error', reject)
    void ended.then(() => reject(new Error(`${file} ended without ${pattern}:\n${output}`)))
  })
  const stop = async (): Promise<void> => {
    endGroup(child)
    await ended
  }
  try {
    return { port: await within(port, `${file} ${args.join(' ')}`, LONG_MS), [Symbol.asyncDispose]: stop }
  } catch (error) {
    endGroup(child)
    throw error
  }
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Sends a message to c@example.com, after the server has refused `refused`. @returns the text of the message */
export async function sendOne(
  port: number,
  refused?: { readonly address: string; readonly code: number },
): Promise<string> {
  const client = await RawClient.greeted(port)
  const text = `Subject: installed\r\n\r\nMessage ${++count}\r\n`
  await client.say('MAIL FROM:<a@b.example>', 250)
  if (refused !== undefined) await client.say(`RCPT TO:<${refused.address}>`, refused.code)
  await client.say('RCPT TO:<c@example.com>', 250)
  await client.say('DATA', 354)
  await client.say(`${text}.`, 250)
  await client.quit()
  return text
}
