/** `postern hash`: makes the hash of a password for `users`. */
import process from 'node:process'
import { hashPassword } from '@postern/intake/accounts'
import { Failure } from '../../host/failure.ts'
import { print } from '../../host/output.ts'
import { Prompt } from '../../host/prompt.ts'
import { isTerminal } from '../../host/terminal.ts'

/** Reads a password twice from a prompt without echo, or the first line of standard input, and prints its hash. */
export async function hash(): Promise<void> {
  const password = isTerminal(process.stdin) ? await ask() : await readLine()
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

/** Asks twice, because the user does not see the text while typing. */
async function ask(): Promise<string> {
  const prompt = new Prompt('hash')
  try {
    const password = await prompt.ask('Password: ')
    // An arrow key, for example. The user does not see it, and a mail program can't send it.
    if (/\p{Cc}/u.test(password)) throw new Failure('hash: the password has a control character; start again')
    // The caller refuses an empty password, so there is no second question.
    if (password !== '' && (await prompt.ask('Again: ')) !== password) {
      throw new Failure('hash: the passwords differ; start again')
    }
    return password
  } finally {
    prompt.close()
  }
}
