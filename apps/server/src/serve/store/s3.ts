/** Opens an `s3:` store. Its URL has the place; the environment or the config file has the credentials. */
import { storeDeadlineMs } from '@postern/intake'
import type { BlobStore, ByteCount } from '@postern/storage'
import type { S3CredentialsSource, S3Options } from '@postern/storage/s3'
import { errorText, EXIT, Failure } from '../../host/failure.ts'
import { variable } from '../../host/permission.ts'
import type { Settings } from '../../config/settings.ts'
import { safe } from '../../host/terminal.ts'

/** The usual variables of programs that use S3. */
const VARIABLES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const
/** The time limit of the first request. */
const LOOK_MS = 10_000

/** The options that may name a bucket. */
type S3Option = 'store' | 'spool'

export interface OpenS3Options {
  /** The option that has the URL, for messages. Default `store`. */
  readonly option?: S3Option
  /** Counts the bytes in memory, if workers share the bound. */
  readonly bufferedBytes?: ByteCount | undefined
}

/**
 * Opens the store after a first request has succeeded.
 *
 * @throws Failure if the URL or the credentials can't be used
 */
export async function openS3(
  settings: Settings,
  url: string,
  { option = 'store', bufferedBytes }: OpenS3Options = {},
): Promise<BlobStore> {
  const { parseS3Url, s3 } = await import('@postern/storage/s3')
  const { hookTimeoutMs } = settings.options
  try {
    const options: S3Options = {
      ...parseS3Url(url),
      credentials: credentials(settings, option),
      deadlineMs: storeDeadlineMs(hookTimeoutMs),
      ...(bufferedBytes !== undefined && { bufferedBytes }),
    }
    await look(s3({ ...options, deadlineMs: LOOK_MS }), settings, option, url)
    return s3(options)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new Failure(`${settings.spelled(option)}: ${safe(errorText(error))}`, EXIT.misused, { cause: error })
  }
}

/** Lists the bucket, so that the server does not start if it can store nothing. */
async function look(store: BlobStore, settings: Settings, option: S3Option, url: string): Promise<void> {
  try {
    await store.list({ limit: 1 })
  } catch (error) {
    const { isStorageError } = await import('@postern/storage')
    // S3 may answer again soon. With this exit code a supervisor restarts the program.
    const exitCode = isStorageError(error, 'denied') ? EXIT.misused : EXIT.failed
    throw new Failure(`${settings.spelled(option)} ${url}: ${safe(errorText(error))}`, exitCode, { cause: error })
  }
}

function credentials({ options, spelled }: Settings, option: S3Option): S3CredentialsSource {
  if (options.s3Credentials !== undefined) return options.s3Credentials
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = VARIABLES.map(variable)
  if (accessKeyId !== '' && secretAccessKey !== '') {
    return { accessKeyId, secretAccessKey, ...(sessionToken !== '' && { sessionToken }) }
  }
  const [id, secret] = VARIABLES
  throw new Failure(
    `${spelled(option)}: S3 needs credentials: set ${id} and ${secret}, or s3Credentials in the config file`,
  )
}
