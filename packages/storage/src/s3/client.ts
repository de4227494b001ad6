/**
 * Requests to an S3 server: signed (SigV4), sent, and their refusals understood. One attempt each.
 *
 * Every body is signed with its SHA-256, so a server that checks signatures also checks that it got what was sent. No other checksum
 * is sent: some servers refuse a request that has one (Backblaze's `Unsupported header`).
 */
import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { StorageError } from '../blob/error.ts'
import { type S3Location, type Query, urlOf } from './location.ts'
import { TransientError } from '../bucket/retry.ts'
import { connectionError, S3Error, s3Error } from './error.ts'
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts'
import { elements, textOf } from './xml.ts'

/** Who asks. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined
}

/** Credentials, or who has them: asked for each request, so that they may change. */
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

/** A page of a thousand of the longest keys is about two MiB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
const MAX_SAID_LENGTH = 300
const EMPTY_SHA256 = sha256Of(new Uint8Array(0))
/** What may stand in a header: whoever refuses to put anything else there repeats it in the error. */
const CREDENTIAL = /^[\x21-\x7e]+$/

export class S3Client {
  readonly location: S3Location
  readonly #credentials: S3CredentialsSource
  readonly #transport: Transport
  /** Keys that were derived from the secret for a day: the signer's. */
  readonly #derived = new Map<string, ArrayBuffer>()

  constructor(location: S3Location, credentials: S3CredentialsSource, transport: Transport) {
    this.location = location
    this.#credentials = credentials
    this.#transport = transport
  }

  /** Sends it. @throws StorageError what the server refused, or the connection did not do */
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
   * Sends it, and reads the answer: the text of an XML document. Some servers say `200` first and what went wrong afterwards; and
   * what stands between may say `200` itself.
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

  /** Sends it, and waits for the end of an answer that says nothing. */
  async tell(request: S3Request): Promise<HttpAnswer> {
    const answer = await this.send(request)
    try {
      await textIn(answer)
    } catch (error) {
      throw connectionError(error, request.what)
    }
    return answer
  }

  async #signed(request: S3Request): Promise<Pick<HttpRequest, 'url' | 'headers'>> {
    const { method, key, query = {}, headers = {}, body } = request
    const { region } = this.location
    const source = this.#credentials
    const { accessKeyId, secretAccessKey, sessionToken } = typeof source === 'function' ? await source() : source
    if (this.#derived.size > 16) this.#derived.clear()
    for (const [name, value] of Object.entries({ accessKeyId, sessionToken })) {
      if (name === 'sessionToken' && value === undefined) continue
      if (typeof value !== 'string' || !CREDENTIAL.test(value))
        throw new StorageError('denied', `${request.what}: ${name} is not one line of ASCII`)
    }
    const sha256 = body === undefined ? EMPTY_SHA256 : sha256Of(body)
    const signer = new AwsV4Signer({
      method,
      url: urlOf(this.location, key, query).href,
      headers: { ...headers, 'x-amz-content-sha256': sha256 },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: 's3',
      region,
      cache: this.#derived,
    })
    const signed = await signer.sign()
    return { url: signed.url, headers: Object.fromEntries(signed.headers) }
  }
}

/** In slices none of these takes long: 5 MiB are 3 ms where the processor knows SHA, 15 where it does not. */
function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function refusalOf(answer: HttpAnswer, what: string): Promise<Error> {
  // Of what answers HEAD, or breaks off, the status is enough.
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
