/**
 * `@postern/server/config`: the types of `postern.config.ts`.
 *
 * The same names are flags (`--max-message-bytes`) and environment variables (`POSTERN_MAX_MESSAGE_BYTES`). A flag
 * outranks the environment, which outranks the file. This module imports nothing at run time.
 */
import type { AuthOptions, Handlers, Limits, MechanismName } from '@postern/engine'
import type { BlobStore, MailStore } from '@postern/storage'
import type { S3CredentialsSource } from '@postern/storage/s3'
import type { ByteQuantity, TimeQuantity } from '../values/quantity.ts'

/** Every option of `postern serve`; each may be left out. */
export interface Config extends LimitConfig {
  /**
   * Where to listen: `smtp://host:port` (port 25 unless given), `smtps://` (TLS at once, 465), `submission://` (TLS by
   * STARTTLS and AUTH required, 587), `submissions://` (TLS at once and AUTH required, 465), `smtp+unix:/path`. The host `*` is
   * every address, the port 0 any that is free. `ws://host:port/path` and `wss://` take in what fronts pipe. Default
   * `smtp://127.0.0.1:2525`.
   */
  readonly listen?: string | readonly string[] | undefined
  /** Where mail is kept: `fs:DIRECTORY`, `maildir:DIRECTORY`, `s3://BUCKET/PREFIX`, `memory:`, or a store of your own. Default `fs:./mail`. */
  readonly store?: string | BlobStore | MailStore | undefined
  /** Who may use an `s3:` store, or a function that is asked before each request. Default the environment's AWS_… variables. */
  readonly s3Credentials?: S3CredentialsSource | undefined
  /**
   * Who is a proxy and says, by the PROXY protocol (version 1 or 2), whose each connection is: addresses, ranges such as
   * `10.0.0.0/8`, or `all`. Who connects by TCP from one of them must send its header, and nobody else is believed.
   * Default: nobody.
   */
  readonly proxyFrom?: string | readonly string[] | undefined
  /**
   * What fronts and the server behind them share, at least 32 characters: a front signs with the first, a server lets in who
   * signs with any, so that one can replace the other.
   */
  readonly frontSecret?: string | readonly string[] | undefined
  /** Of `postern front`: the server behind it, `wss://host/path`. */
  readonly to?: string | undefined
  /** Of `postern front`: a PEM file with the authorities that the server is checked against. Default: those of the runtime. */
  readonly toCa?: string | undefined
  /** Of `postern front`: allow `ws://` to another machine. Default false. */
  readonly toWithoutTls?: boolean | undefined
  /** Of `postern front`: how long the server may take to answer a new pipe. Default `10s`. */
  readonly connectTimeoutMs?: TimeQuantity | undefined
  /** The name in the greeting, the EHLO reply and the trace header. Default: this machine's name. */
  readonly hostname?: string | undefined
  /**
   * The domains that mail is taken for, with commas between them or as a list: `example.com`, `*.example.org` for all below it, `*` for
   * every one. Other recipients get `550 5.7.1`, but for `<postmaster>`, who has no domain. Default: every domain.
   */
  readonly domains?: string | readonly string[] | undefined
  /** What follows the host name in the greeting. Default `Postern`. */
  readonly banner?: string | undefined
  /** Wait this long before the greeting, and refuse who talks into it. Default 0: neither. */
  readonly greetingDelayMs?: TimeQuantity | undefined
  /** What to do with a bare CR or LF inside DATA. Default `reject`. */
  readonly bareLineEndings?: 'reject' | 'normalise' | 'preserve' | undefined
  /** `lenient` takes what is only untidy: paths without angle brackets, `a..b@example.org`, any HELO name. Default `strict`. */
  readonly addresses?: 'strict' | 'lenient' | undefined
  /** EHLO keywords of built-in extensions, or verbs, that are off: `VRFY`, `CHUNKING`, `DSN`, … */
  readonly disabled?: string | readonly string[] | undefined
  /** How long transactions in progress may take to finish when the server stops. Default `30s`. */
  readonly graceMs?: TimeQuantity | undefined
  /** Threads that take mail in, up to 64; `auto` is one for each core. This file is loaded in each of them. Default 1. */
  readonly workers?: number | 'auto' | undefined

  /** Mail that is older is removed, at start and every hour: `30d`. Default Infinity. */
  readonly keepAgeMs?: TimeQuantity | undefined
  /** The newest messages that are kept; older ones are removed, at start and every hour. Default Infinity. */
  readonly keepCount?: number | undefined
  /**
   * How much mail is kept: the newest that fits, and in any case the newest message. Older mail is removed, at start and every
   * hour. Default Infinity.
   */
  readonly keepBytes?: ByteQuantity | undefined

  /** A PEM file with the private key. */
  readonly tlsKey?: string | undefined
  /** A PEM file with the certificate and its chain. */
  readonly tlsCert?: string | undefined
  /** Opens an encrypted `tlsKey`. */
  readonly tlsPassphrase?: string | undefined
  /** Make a certificate for this run, to try TLS out. Default false. */
  readonly selfSigned?: boolean | undefined
  /** Refuse mail until the connection is TLS, on every address. Default false. */
  readonly tlsRequired?: boolean | undefined
  /** A PEM file with the authorities that client certificates are checked against. Default: those of the runtime. */
  readonly tlsCa?: string | undefined
  /** Whether clients are asked for a certificate; `require` lets nobody in without one that checks. Default `none`. */
  readonly clientCertificates?: 'none' | 'request' | 'require' | undefined
  /** Other certificates by the host name that the client asks for; `*.example.com` stands for one label. */
  readonly sni?: Readonly<Record<string, HostCertificate>> | undefined

  /** Who may send: `name:hash`, with a hash from `postern hash`. */
  readonly users?: string | readonly string[] | undefined
  /** Refuse mail until AUTH has succeeded, on every address. Default false. */
  readonly authRequired?: boolean | undefined
  /** Offer AUTH also where the connection is not TLS, so that passwords travel in clear. Default false. */
  readonly authWithoutTls?: boolean | undefined
  /** On offer for AUTH, in this order. Default both. */
  readonly authMechanisms?: AuthMechanism | readonly AuthMechanism[] | undefined

  /** The least that is logged. Default `info`. */
  readonly logLevel?: LogLevel | undefined
  /** `json` writes only JSON lines, to stderr; `auto` is `pretty` on a terminal. Default `auto`. */
  readonly logFormat?: 'auto' | 'pretty' | 'json' | undefined
  /** Log what goes over the wire, without credentials and message text. Default false. */
  readonly debug?: boolean | undefined

  /** Your own hooks. They run before the server's own. */
  readonly handlers?: ConfigHandlers | undefined
}

/** The certificate of one host name: PEM files. */
export interface HostCertificate {
  readonly tlsKey: string
  readonly tlsCert: string
  readonly tlsPassphrase?: string | undefined
}

/**
 * The engine's hooks, and `authenticate`.
 *
 * A hook that refuses has the last word; after any other answer the server goes on. `data` may read the message: it then
 * must answer for it, and the message is not kept. Where it answers nothing and read nothing, the store keeps the message.
 * `authenticate` that answers nothing leaves the question to `users`.
 */
export interface ConfigHandlers extends Handlers {
  authenticate?: AuthOptions['authenticate']
}

/** Every {@link Limits} field by its own name. */
export type LimitConfig = {
  readonly [Name in keyof Limits]?: LimitQuantity<Name> | undefined
}

type LimitQuantity<Name> = Name extends `${string}Ms`
  ? TimeQuantity
  : Name extends `${string}${'Bytes' | 'Octets' | 'BytesPerSecond'}`
    ? ByteQuantity
    : number

/** A mechanism that the server can check against `users`. */
export type AuthMechanism = MechanismName

/** From the most to the least. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'fatal'

/** Gives `postern.config.ts` its types: `export default defineConfig({ … })`. */
export function defineConfig(config: Config): Config {
  return config
}
