/** OpenSSL's own client, a TLS client outside the runtimes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const DIALOGUE_TIMEOUT_MS = 60_000

/**
 * Sends through `openssl s_client`. Sends each part once the given number of replies has come.
 * @returns all replies of the server under TLS.
 */
export async function throughTls(
  caFile: string,
  args: readonly string[],
  parts: readonly (string | Buffer)[],
): Promise<string> {
  const flags = ['s_client', '-quiet', '-CAfile', caFile, '-verify_return_error', '-verify', '2', ...args]
  const client = spawn('openssl', flags, { stdio: ['pipe', 'pipe', 'pipe'] })
  const late = setTimeout(() => client.kill('SIGKILL'), DIALOGUE_TIMEOUT_MS)
  let heard = ''
  let stderr = ''
  client.stdout.setEncoding('latin1').on('data', (text: string) => (heard += text))
  client.stderr.setEncoding('latin1').on('data', (text: string) => (stderr += text))
  client.stdin.on('error', () => {})
  const ended = once(client, 'close')
  try {
    // The first is the greeting; or what s_client heard last in clear, which it repeats on standard error.
    let replies = 1
    for (const part of parts) {
      while (lastLines(heard + stderr) < replies) {
        if (client.exitCode !== null || client.signalCode !== null) throw new Error(`s_client ended: ${stderr}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      client.stdin.write(part)
      replies++
    }
    await ended
    return heard
  } finally {
    clearTimeout(late)
    client.kill('SIGKILL')
  }
}

function lastLines(text: string): number {
  return text.match(/^\d{3} .*\r?\n/gm)?.length ?? 0
}
