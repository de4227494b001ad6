/**
 * Signs requests to an S3 server (SigV4), sends them, and reads refusals. Each call is one attempt.
 *
 * Every body is signed with its SHA-256, so a server that checks signatures also checks the bytes. No other checksum is sent, because
 * some servers refuse a request that has one (Backblaze's `Unsupported header`).
 */
import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { StorageError } from '../blob/error.ts'
import { type S3Location, type Query, urlOf } from './location.ts'
import { TransientError } from '../bucket/retry.ts'
import { connectionError, S3Error, s3Error } from './error.ts'
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts'
import { elements, textOf } from './xml.ts'

/** The account that signs requests. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Present for temporary credentials. */
  readonly sessionToken?: string | undefined
}

/** Credentials, or a function that returns them. It is called for each request, because they may change. */
export type S3CredentialsSource = S3Credentials | (() => S3Credentials | Promise<S3Credentials>)

export interface S3Request {
  readonly method: HttpRequest['method']
  /** '' is the bucket itself. */
  readonly key: string
  readonly query?: Query
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer>
  readonly signal: AbortSignal
  /** For messages: "can't read KEY". */
  readonly what: string
}

/** More than any answer needs: a page of a thousand of the longest keys is about two MiB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
const MAX_SAID_LENGTH = 300
const EMPTY_SHA256 = sha256Of(new Uint8Array(0))
/** Characters that a header may have. Checked here, because the error of another check would repeat the credential. */
const CREDENTIAL = /^[\x21-\x7e]+$/

type SignerKeys = Pick<
  ConstructorParameters<typeof AwsV4Signer>[0],
  'accessKeyId' | 'secretAccessKey' | 'sessionToken' | 'service' | 'region' | 'cache'
>

export class S3Client {
  readonly location: S3Location
  readonly #credentials: S3CredentialsSource
  readonly #transport: Transport
  /** The signer's keys, each derived from the secret for one day. */
  readonly #derived = new Map<string, ArrayBuffer>()

  constructor(location: S3Location, credentials: S3CredentialsSource, transport: Transport) {
    this.location = location
    this.#credentials = credentials
    this.#transport = transport
  }

  /** Sends a request. @throws StorageError if the server refuses it, or the connection fails */
  async send(request: S3Request): Promise<HttpAnswer> {
    const { what, signal, method, body } = request
    try {
      const { url, headers } = await this.#signed(request)
      const answer = await this.#transport({ method, url, headers, body, signal })
      if (answer.status >= 200 && answer.status < 300) return answer
      throw await refusalOf(answer, what)
    } catch (error) {
      throw connectionError(error, what)
    }
  }

  /**
   * Sends a request, and reads an XML document as its answer. Some servers answer `200` first and report an error in the body, and a
   * proxy may answer `200` itself.
   *
   * @param root The name of the document's element
   */
  async ask(request: S3Request, root: string): Promise<string> {
    const answer = await this.send(request)
    try {
      const xml = await textIn(answer)
      const [document] = elements(xml, root)
      if (document !== undefined) return document
      if (textOf(xml, 'Error') !== undefined) throw s3Error(errorIn(answer, xml), request.what)
      throw new TransientError('unavailable', `${request.what}: the answer is no ${root}`)
    } catch (error) {
      throw connectionError(error, request.what)
    }
  }

  /** Sends a request, and reads its answer to the end. The content of the answer does not matter. */
  async tell(request: S3Request): Promise<HttpAnswer> {
    const answer = await this.send(request)
    try {
      await textIn(answer)
    } catch (error) {
      throw connectionError(error, request.what)
    }
    return answer
  }

  /** Returns a URL with which anybody can read an object until it expires. It is signed here: the server is not asked. */
  async presigned(key: string, expiresInSeconds: number, query: Query): Promise<string> {
    const keys = await this.#keys(`can't make a link to ${key}`)
    const expiring = { ...query, 'X-Amz-Expires': String(expiresInSeconds) }
    const url = urlOf(this.location, key, expiring).href
    return (await new AwsV4Signer({ method: 'GET', url, signQuery: true, ...keys }).sign()).url.href
  }

  async #signed(request: S3Request): Promise<Pick<HttpRequest, 'url' | 'headers'>> {
    const { method, key, query = {}, headers = {}, body } = request
    const keys = await this.#keys(request.what)
    const sha256 = body === undefined ? EMPTY_SHA256 : sha256Of(body)
    const signer = new AwsV4Signer({
      method,
      url: urlOf(this.location, key, query).href,
      headers: { ...headers, 'x-amz-content-sha256': sha256 },
      ...keys,
    })
    const signed = await signer.sign()
    return { url: signed.url, headers: Object.fromEntries(signed.headers) }
  }

  /** Returns the credentials, checked, and what else a signer needs. @throws StorageError `denied` */
  async #keys(what: string): Promise<SignerKeys> {
    const source = this.#credentials
    const { accessKeyId, secretAccessKey, sessionToken } = typeof source === 'function' ? await source() : source
    if (this.#derived.size > 16) this.#derived.clear()
    for (const [name, value] of Object.entries({ accessKeyId, sessionToken })) {
      if (name === 'sessionToken' && value === undefined) continue
      if (typeof value !== 'string' || !CREDENTIAL.test(value))
        throw new StorageError('denied', `${what}: ${name} is not one line of ASCII`)
    }
    return {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: 's3',
      region: this.location.region,
      cache: this.#derived,
    }
  }
}

/** Hashes all bytes in one call: 5 MiB take 3 ms on a processor with SHA instructions, and 15 ms on others. */
function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function refusalOf(answer: HttpAnswer, what: string): Promise<Error> {
  // The status is enough for an answer to HEAD, or one that breaks off.
  const xml = await textIn(answer).catch(() => '')
  const seconds = Number(answer.header('retry-after'))
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined
  return s3Error(errorIn(answer, xml), what, retryAfterMs)
}

function errorIn(answer: HttpAnswer, xml: string): S3Error {
  const region = answer.header('x-amz-bucket-region')
  const elsewhere =
    region !== undefined && answer.status >= 300 && answer.status < 400
      ? ` (the bucket is in ${printable(region)})`
      : ''
  const message = `${printable(textOf(xml, 'Message') ?? '')}${elsewhere}`.trim()
  return new S3Error(answer.status, printable(textOf(xml, 'Code') ?? ''), message, answer.header('x-amz-request-id'))
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_SAID_LENGTH)
}

async function textIn(answer: HttpAnswer): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) {
      answer.discard()
      throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    }
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
