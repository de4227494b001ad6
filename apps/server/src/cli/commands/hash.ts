/** `postern hash`: makes the hash of a password for `users`. */
import process from 'node:process'
import { hashPassword } from '@postern/intake/accounts'
import { Failure } from '../../host/failure.ts'
import { print } from '../../host/output.ts'
import { isTerminal } from '../../host/terminal.ts'

/** Reads a password from a prompt without echo, or the first line of standard input, and prints its hash. */
export async function hash(): Promise<void> {
  const password = isTerminal(process.stdin) ? await ask('Password: ') : await readLine()
  if (password === '') throw new Failure('hash: the password is empty; give one')
  await print(`${await hashPassword(password)}\n`)
}

async function readLine(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const [line = '', ...rest] = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
  if (rest.length > 0) throw new Failure('hash: standard input has several lines; give one password')
  return line
}

/** The prompt goes to stderr, so that `$(postern hash)` contains only the hash. */
async function ask(prompt: string): Promise<string> {
  // Raw mode begins before the prompt, so that no early key is shown.
  process.stdin.setRawMode(true)
  try {
    process.stderr.write(prompt)
    let typed = ''
    for await (const chunk of process.stdin.setEncoding('utf8')) {
      for (const key of chunk as string) {
        if (key === '\r' || key === '\n' || key === '\x04') return typed
        if (key === '\x03') throw new Failure('hash: cancelled', 130)
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('')
        else typed += key
      }
    }
    return typed
  } finally {
    process.stdin.setRawMode(false)
    process.stderr.write('\n')
  }
}
