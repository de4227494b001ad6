/** Reads a new password: from a prompt without echo, asked twice, or from standard input. */
import process from 'node:process'
import { Failure } from '../../host/failure.ts'
import { Prompt } from '../../host/prompt.ts'
import { isTerminal } from '../../host/terminal.ts'

/** @param command For messages. @throws Failure if there is none */
export async function readNewPassword(command: string): Promise<string> {
  const password = isTerminal(process.stdin) ? await ask(command) : await readLine(command)
  if (password === '') throw new Failure(`${command}: the password is empty; give one`)
  return password
}

async function readLine(command: string): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const [line = '', ...rest] = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
  if (rest.length > 0) throw new Failure(`${command}: standard input has several lines; give one password`)
  return line
}

/** Asks twice, because the user does not see the text while typing. */
async function ask(command: string): Promise<string> {
  const prompt = new Prompt(command)
  try {
    const password = await prompt.ask('Password: ')
    // An arrow key, for example. The user does not see it, and a mail program can't send it.
    if (/\p{Cc}/u.test(password)) throw new Failure(`${command}: the password has a control character; start again`)
    // The caller refuses an empty password, so there is no second question.
    if (password !== '' && (await prompt.ask('Again: ')) !== password) {
      throw new Failure(`${command}: the passwords differ; start again`)
    }
    return password
  } finally {
    prompt.close()
  }
}
