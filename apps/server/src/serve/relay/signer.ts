/** Signs mail that is sent on, with the keys of `--dkim`. */
import type { RelayOptions } from '@postern/relay'
import type { Logger } from '@logtape/logtape'
import { readKeys } from '../../config/file/dkim-keys.ts'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'

const NOTHING = new Uint8Array()
/** The directory is read again after this time at the earliest, so that new keys are used without a restart. */
const READ_AGAIN_MS = 60_000

/** Returns what signs a message; undefined if there is no directory of keys. @throws Failure */
export async function signerOf({ options, spelled, origin }: Settings, log: Logger): Promise<RelayOptions['sign']> {
  const { dkim, hostname } = options
  if (dkim === undefined) return undefined
  const { isLmtpDestination, signerWith } = await import('@postern/relay/onward')
  const read = () =>
    readKeys(dkim, origin('dkim') === 'default' ? dkim : `${spelled('dkim')} ${dkim}`).map(({ key }) => key)
  let keys = read()
  let readAt = Date.now()
  const current = (): typeof keys => {
    if (Date.now() - readAt < READ_AGAIN_MS) return keys
    readAt = Date.now()
    try {
      keys = read()
    } catch (error) {
      log.error('keys for DKIM could not be read again; the server keeps the old ones', { reason: errorText(error) })
    }
    return keys
  }
  const sign = signerWith(current, hostname)
  return async (open, claim) => (isLmtpDestination(claim.destination) ? NOTHING : sign(open, claim))
}
