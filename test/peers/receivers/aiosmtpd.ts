/** Debian's aiosmtpd as a receiver. It writes each message to a directory. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEBIAN_PYTHON } from '../../kit/abilities.ts'
import { Daemon } from '../../kit/daemon.ts'
import { freePort } from '../../kit/port.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { eventually } from '../../kit/waiting.ts'
import { type Files, greets, NOBODY, PASSWORD, type Receiver, USER } from './receiver.ts'

export async function startAiosmtpd(scratch: Scratch, { keyFile, certFile }: Files): Promise<Receiver> {
  const port = await freePort()
  const directory = scratch.join('aiosmtpd')
  await mkdir(directory)
  const settings = { port, directory, keyFile, certFile, user: USER, password: PASSWORD, nobody: NOBODY }
  const program = join(import.meta.dirname, 'aiosmtpd_server.py')
  const daemon = new Daemon([DEBIAN_PYTHON, program, JSON.stringify(settings)], { isHeld: true })
  const log = async (): Promise<string> => daemon.output
  await greets(port, daemon, log)
  return {
    url: `smtp://127.0.0.1:${port}`,
    async taken(recipient) {
      const file = join(directory, recipient)
      await eventually(
        () =>
          readFile(file).then(
            () => true,
            () => false,
          ),
        `mail for ${recipient}`,
      )
      return readFile(file)
    },
    log,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  }
}
