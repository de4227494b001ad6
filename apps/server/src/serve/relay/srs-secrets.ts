/** The secrets of SRS, with which the senders of forwarded mail are rewritten: in a file in the directory of the queue, one on each line. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createForwarding, type Forwarding } from '@postern/relay/onward'
import type { Settings } from '../../config/settings.ts'
import { unreadable } from '../../host/failure.ts'
import { webhookDestination } from './webhooks.ts'

const SRS_FILE = 'srs-secret'
const SECRET_OCTETS = 24

/** Makes what forwards mail, with the secrets of the file. @throws Failure */
export async function openForwarding({ options, spelled }: Settings): Promise<Forwarding> {
  const path = join(options.queue, SRS_FILE)
  const named = `${spelled('queue')} ${path}`
  const secrets = await readSecrets(options.queue, path, named)
  try {
    return createForwarding({ secrets, webhookDestination })
  } catch (error) {
    throw unreadable(named, error)
  }
}

/** Reads the secrets, and makes one at the first start. */
async function readSecrets(directory: string, path: string, named: string): Promise<readonly string[]> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    makeSecret(path)
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  } catch (error) {
    throw unreadable(named, error)
  }
}

function makeSecret(path: string): void {
  try {
    writeFileSync(path, `${randomBytes(SECRET_OCTETS).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
