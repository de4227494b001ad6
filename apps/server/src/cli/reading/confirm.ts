/** Asks before a command that cannot be undone. */
import { EXIT, Failure } from '../../host/failure.ts'
import { Prompt } from '../../host/prompt.ts'

/** @param command For messages. @throws Failure if the answer is not yes */
export async function confirm(command: string, question: string): Promise<void> {
  const prompt = new Prompt(command)
  try {
    const answer = await prompt.ask(`${question} Type yes: `, { isShown: true })
    if (answer.trim().toLowerCase() !== 'yes') throw new Failure(`${command}: nothing was deleted`, EXIT.failed)
  } finally {
    prompt.close()
  }
}
