/** The location of a bucket, and the URLs of requests to it. */

/** The location of a bucket, checked. */
export interface S3Location {
  readonly bucket: string
  /** The beginning of all keys: '' or a path that ends in `/`. */
  readonly prefix: string
  readonly endpoint: URL
  readonly region: string
  readonly addressing: Addressing
  readonly encryption: Encryption | undefined
}

/** True if the bucket is in the path (`https://host/bucket/key`) or in the host name (`https://bucket.host/key`). */
export type Addressing = 'path' | 'virtual-host'

/** Encryption by the server, with its own key (SSE-S3) or with a key of its key management (SSE-KMS). */
export type Encryption = 'AES256' | 'aws:kms' | { readonly kmsKeyId: string }

/** The location of a bucket, as the user gives it. */
export interface S3LocationOptions {
  readonly bucket: string
  /** The beginning of all keys, with `/` between segments. Default none. */
  readonly prefix?: string
  /** The server's URL, without the bucket. Default AWS in that region. */
  readonly endpoint?: string
  /** Default `us-east-1`. Cloudflare's is `auto`. */
  readonly region?: string
  /** Default `virtual-host` at AWS, and `path` elsewhere, because all other servers support it. */
  readonly addressing?: Addressing
  /** How the server encrypts. Default: the setting of the bucket. */
  readonly encryption?: Encryption
}

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html. Other servers allow longer names and
 * capitals.
 */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/
const REGION = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/
/** Bounds the length of a prefix, so that keys, which are short, fit behind it. */
const PREFIX = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/
const MAX_PREFIX_LENGTH = 512
const KMS_KEY = /^[\x21-\x7e]{1,2048}$/
/** A certificate for `*.host` covers one label. The name of a bucket must not lead to another host. */
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/
/** The host name of a URL with an IPv4 or IPv6 address. */
const ADDRESS = /^(?:\[.*\]|[\d.]+)$/

/** @throws RangeError that names the field, its value and what is allowed; never a credential */
export function locationOf(options: S3LocationOptions): S3Location {
  const { bucket, region = 'us-east-1' } = options
  if (!BUCKET.test(bucket)) throw wrong('bucket', bucket, 'the name of a bucket')
  if (!REGION.test(region)) throw wrong('region', region, 'a region, such as us-east-1 or auto')
  const endpoint = endpointOf(options.endpoint ?? `https://s3.${region}.amazonaws.com`)
  const byDefault = endpoint.hostname.endsWith('.amazonaws.com') && HOST_LABEL.test(bucket) ? 'virtual-host' : 'path'
  const { addressing = byDefault, encryption } = options
  if (addressing !== 'path' && addressing !== 'virtual-host') {
    throw wrong('addressing', addressing, 'path or virtual-host')
  }
  if (addressing === 'virtual-host' && !HOST_LABEL.test(bucket)) {
    throw wrong('bucket', bucket, 'a name that can stand in a host name, or addressing path')
  }
  if (addressing === 'virtual-host' && ADDRESS.test(endpoint.hostname)) {
    throw wrong('endpoint', endpoint.href, 'a host name, before which a bucket can stand; or addressing path')
  }
  return {
    bucket,
    prefix: prefixOf(options.prefix ?? ''),
    endpoint,
    region,
    addressing,
    encryption: checked(encryption),
  }
}

/**
 * Reads `s3://bucket/prefix?endpoint=…&region=…&addressing=…&encryption=…&kmsKeyId=…`.
 *
 * @throws RangeError as {@link locationOf}; also if the URL has credentials, which the error does not repeat
 */
export function parseS3Url(text: string): S3LocationOptions {
  const match = /^s3:\/\/([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text)
  if (match === null) {
    if (text.includes('@'))
      throw new RangeError('credentials are not part of an s3: URL: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
    throw wrong('store', text, 's3://bucket/prefix?endpoint=…&region=…')
  }
  const [, bucket = '', prefix = '', query = ''] = match
  const parameters = Object.fromEntries(new URLSearchParams(query))
  for (const name of Object.keys(parameters)) {
    if (!PARAMETERS.includes(name)) throw wrong('parameter', name, `one of ${PARAMETERS.join(', ')}`)
  }
  const { kmsKeyId, encryption, ...rest } = parameters
  const options = {
    ...rest,
    bucket,
    prefix,
    ...((kmsKeyId ?? encryption) !== undefined && { encryption: kmsKeyId === undefined ? encryption : { kmsKeyId } }),
  } as S3LocationOptions
  locationOf(options)
  return options
}

const PARAMETERS: readonly string[] = ['endpoint', 'region', 'addressing', 'encryption', 'kmsKeyId']

/** Returns the URL of an object, or of the bucket if the key is ''. */
export function urlOf({ endpoint, bucket, addressing }: S3Location, key: string, query: Query): URL {
  const url = new URL(endpoint)
  const base = url.pathname.replace(/\/$/, '')
  if (addressing === 'virtual-host') url.hostname = `${bucket}.${url.hostname}`
  url.pathname = addressing === 'virtual-host' ? `${base}/${key}` : `${base}/${bucket}${key === '' ? '' : `/${key}`}`
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

/** Parameters of a request. Undefined ones are left out. */
export type Query = Readonly<Record<string, string | undefined>>

function endpointOf(text: string): URL {
  const url = URL.parse(text)
  const isUrl = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === ''
  if (text.includes('@')) throw new RangeError('endpoint: credentials are not part of it')
  if (!isUrl) throw wrong('endpoint', text, 'the URL of an S3 server, such as https://s3.example.com')
  return url
}

function prefixOf(given: string): string {
  const prefix = given === '' || given.endsWith('/') ? given : `${given}/`
  if (prefix.length <= MAX_PREFIX_LENGTH && PREFIX.test(prefix)) return prefix
  throw wrong(
    'prefix',
    given,
    `at most ${MAX_PREFIX_LENGTH} characters: segments of A-Z a-z 0-9 . _ - with / between them`,
  )
}

function checked(encryption: Encryption | undefined): Encryption | undefined {
  if (encryption === undefined || encryption === 'AES256' || encryption === 'aws:kms') return encryption
  if (typeof encryption === 'object' && KMS_KEY.test(encryption.kmsKeyId)) return encryption
  throw wrong(
    'encryption',
    typeof encryption === 'string' ? encryption : JSON.stringify(encryption),
    'AES256, aws:kms, or the id of a key',
  )
}

function wrong(field: string, value: string, allowed: string): RangeError {
  return new RangeError(`${field}: ${JSON.stringify(value.slice(0, 80))} is not ${allowed}`)
}
