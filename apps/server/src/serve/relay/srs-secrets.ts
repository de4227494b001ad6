/** The secrets of SRS, with which the senders of forwarded mail are rewritten: in a file in the directory of the queue, one on each line. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createForwarding, type Forwarding, webhookDestination } from '@postern/relay/onward'
import type { Settings } from '../../config/settings.ts'
import { unreadable } from '../../host/failure.ts'

const SRS_FILE = 'srs-secret'
const SECRET_OCTETS = 24

/**
 * Makes what forwards mail, with the secrets of the file. Returns undefined if a queue that servers share has no secrets, because then no rule
 * sends mail on.
 * @throws Failure
 */
export async function openForwarding({ options, spelled }: Settings): Promise<Forwarding | undefined> {
  const { queue, srsSecrets } = options
  if (queue.scheme === 'nats' && srsSecrets === undefined) return undefined
  const path = srsSecrets ?? join(queue.url, SRS_FILE)
  const named = `${spelled(srsSecrets === undefined ? 'queue' : 'srsSecrets')} ${path}`
  const secrets = await readSecrets(path, named, srsSecrets === undefined)
  try {
    return createForwarding({ secrets, webhookDestination })
  } catch (error) {
    throw unreadable(named, error)
  }
}

/** @param isMade The server makes a secret at its first start. Servers that share secrets would each make another one */
async function readSecrets(path: string, named: string, isMade: boolean): Promise<readonly string[]> {
  try {
    if (isMade) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      makeSecret(path)
    }
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
