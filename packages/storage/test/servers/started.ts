/** Servers that run in their own process. They print their endpoint once they are ready, and end when standard input ends. */
import { type ChildProcess, spawn } from 'node:child_process'

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000
/** How much of a server's output is kept, to explain a failure. */
const MAX_LOG_LENGTH = 100_000

export interface Started extends AsyncDisposable {
  readonly endpoint: string
  /** The output of the server. */
  log(): string
}

/** @throws with the output of the server if it does not get ready */
export async function start(
  name: string,
  [program, ...args]: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<Started> {
  // Its standard input also ends when this process is killed. No other event ends the server, not even Ctrl-C in a terminal.
  const child = spawn(program, args, { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-MAX_LOG_LENGTH)))
  child.stdin.on('error', () => {})
  const end = async (): Promise<void> => {
    child.stdin.end()
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(late)
  }
  const endpoint = await endpointOf(child).catch(async (error: unknown) => {
    await end()
    throw new Error(`${name} did not start: ${String(error)}\n${log}`)
  })
  return { endpoint, log: () => log, [Symbol.asyncDispose]: end }
}

function endpointOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const late = setTimeout(() => reject(new Error(`not ready after ${START_TIMEOUT_MS} ms`)), START_TIMEOUT_MS)
    const done = (settle: () => void): void => {
      clearTimeout(late)
      settle()
    }
    child.once('error', (error) => done(() => reject(error)))
    child.once('exit', (code, signal) => done(() => reject(new Error(`it ended: ${code ?? signal}`))))
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const line = /^(http:\S+)\n/.exec(said)
      if (line !== null) done(() => resolve(line[1] as string))
    })
  })
}
