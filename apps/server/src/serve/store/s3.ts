/** Opening an `s3:` store: where it is comes from its URL, who may use it from the environment or the config file. */
import { storeDeadlineMs } from '@postern/intake'
import type { BlobStore, ByteCount } from '@postern/storage'
import type { S3CredentialsSource, S3Options } from '@postern/storage/s3'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import { variable } from '../../host/permission.ts'
import type { Settings } from '../../config/settings.ts'
import { safe } from '../../host/terminal.ts'

/** As every program spells them that uses S3. */
const VARIABLES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const
/** How long the first look may take. */
const LOOK_MS = 10_000

/**
 * @param bufferedBytes Counts what it holds in memory, where it shares the bound on that.
 * @throws Failure where the URL or the credentials can't be used
 */
export async function openS3(settings: Settings, url: string, bufferedBytes?: ByteCount): Promise<BlobStore> {
  const { parseS3Url, s3 } = await import('@postern/storage/s3')
  const { hookTimeoutMs } = settings.options
  try {
    const options: S3Options = {
      ...parseS3Url(url),
      credentials: credentials(settings),
      deadlineMs: storeDeadlineMs(hookTimeoutMs),
      ...(bufferedBytes !== undefined && { bufferedBytes }),
    }
    await look(s3({ ...options, deadlineMs: LOOK_MS }), settings, url)
    return s3(options)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Failure(`${settings.spelled('store')}: ${safe(errorText(error))}`, EXIT.misused, { cause: error })
  }
}

/** A server must not find out with its first message that it can keep none. */
async function look(store: BlobStore, settings: Settings, url: string): Promise<void> {
  try {
    await store.list({ limit: 1 })
  } catch (error) {
    const { isStorageError } = await import('@postern/storage')
    // What does not answer may be back in a moment: whoever started this program may start it again.
    const exitCode = isStorageError(error, 'denied') ? EXIT.misused : EXIT.failed
    throw new Failure(`${settings.spelled('store')} ${url}: ${safe(errorText(error))}`, exitCode, { cause: error })
  }
}

function credentials({ options, spelled }: Settings): S3CredentialsSource {
  if (options.s3Credentials !== undefined) return options.s3Credentials
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = VARIABLES.map(variable)
  if (accessKeyId !== '' && secretAccessKey !== '') {
    return { accessKeyId, secretAccessKey, ...(sessionToken !== '' && { sessionToken }) }
  }
  const [id, secret] = VARIABLES
  throw new Failure(
    `${spelled('store')}: S3 needs credentials: set ${id} and ${secret}, or s3Credentials in the config file`,
  )
}
