/** The options that say where the server listens and where it stores mail. */
import type { BlobStore, MailStore } from '@postern/storage'
import type { S3CredentialsSource } from '@postern/storage/s3'
import { Failure } from '../../host/failure.ts'
import { LISTEN_ALLOWED, type ListenAddress, parseListenUrl } from '../urls/listen-url.ts'
import { isProxyRange, PROXY_ALLOWED } from '../urls/proxies.ts'
import { isS3Credentials, isStore, parseStoreUrl, STORE_ALLOWED, type StoreChoice } from '../urls/store-url.ts'
import { custom, list, nonEmpty, optional, parsed, parsedText } from '../values/schema.ts'
import { type Choice, needs, type Option } from './row.ts'

export interface WhereRows {
  /**
   * Listens at these URLs: `smtp://host:port` (default port 25), `smtps://` (TLS from the first byte, 465), `submission://` (STARTTLS and
   * AUTH required, 587), `submissions://` (TLS from the first byte, AUTH required, 465), `lmtp://` (LMTP, 24), `smtp+unix:/path` and
   * `lmtp+unix:/path`, `smtp+fd:3` or `smtp+fd:NAME` (a socket that systemd passes). The host `*` means every address, the port 0 any free port. A query sets options for one listener:
   * `smtp://*:25?tls=required&auth=off&addresses=lenient&proxy=10.0.0.0/8&size=10MiB`, and `?mode=0666` the permissions of a Unix socket. On `ws://host:port/path` and `wss://` the server accepts connections from fronts. Default
   * `smtp://127.0.0.1:2525`.
   */
  readonly listen: Option<string | readonly string[], readonly ListenAddress[]>
  /** Stores mail here: `fs:DIRECTORY`, `maildir:DIRECTORY`, `s3://BUCKET/PREFIX`, `memory:`, or your own store. Default `fs:./mail`. */
  readonly store: Option<string | BlobStore | MailStore, StoreChoice>
  /** Credentials of an `s3:` store, or a function that returns them before each request. Default: the AWS_… environment variables. */
  readonly s3Credentials: Option<S3CredentialsSource, S3CredentialsSource | undefined>
  /**
   * Proxies that send a PROXY protocol header (version 1 or 2) with the client's address: addresses, ranges such as `10.0.0.0/8`, or
   * `all`. A TCP connection from one of them must begin with the header. From any other address the server reads no header.
   * Default: none.
   */
  readonly proxyFrom: Option<string | readonly string[], readonly string[]>
  /**
   * Clients that may send XCLIENT, which names another client and logs it in: addresses, ranges, or `all`. The address of the session
   * decides. Default: none.
   */
  readonly xclientFrom: Option<string | readonly string[], readonly string[]>
  /** Clients that may send XFORWARD, which names the first client for the record and the log: addresses, ranges, or `all`. Default: none. */
  readonly xforwardFrom: Option<string | readonly string[], readonly string[]>
  /**
   * Clients whose sessions the debug log leaves out, such as health checks: addresses, ranges, or `all`. Their refusals, messages and
   * errors are logged. Default: none.
   */
  readonly quietFrom: Option<string | readonly string[], readonly string[]>
}

const group = 'Where:'

export const whereRows: WhereRows = {
  listen: {
    schema: nonEmpty(list(parsedText(parseListenUrl, LISTEN_ALLOWED))),
    byDefault: 'smtp://127.0.0.1:2525',
    help: 'where to listen: smtp://, smtps://, submission://, submissions://, lmtp://, smtp+unix:, lmtp+unix:, smtp+fd:, ws://, wss://; ?tls=, auth=, addresses=, proxy=, size= and mode= set options for one',
    group,
    value: 'url',
    repeatable: true,
    commands: ['serve', 'front'],
    docs: { more: '(see [Where to listen](#where-to-listen))' },
  },
  store: {
    schema: parsed<StoreChoice>(
      (given) => (typeof given === 'string' ? parseStoreUrl(given) : isStore(given) ? given : undefined),
      STORE_ALLOWED,
    ),
    byDefault: 'fs:./mail',
    help: 'where to store mail: fs:DIRECTORY, maildir:DIRECTORY, s3://BUCKET/PREFIX, or memory: (lost when the server stops)',
    group,
    value: 'url',
    commands: ['serve', 'sweep'],
  },
  s3Credentials: {
    schema: optional(
      custom(
        isS3Credentials,
        '{ accessKeyId, secretAccessKey } and optionally sessionToken, or a function that returns them',
      ),
    ),
    byDefault: undefined,
    help: 'credentials of an s3: store, if the environment has none',
    group,
    value: 'credentials',
    secret: true,
    fileOnly: true,
  },
  proxyFrom: clients('proxies that send a PROXY protocol header: address, range, or all'),
  xclientFrom: clients('clients that may name another client by XCLIENT: address, range, or all'),
  xforwardFrom: clients('clients that may name the first client by XFORWARD: address, range, or all'),
  quietFrom: clients('clients whose sessions the debug log leaves out, such as health checks: address, range, or all'),
}

/** Makes the row of a list of clients. */
function clients(help: string): Option<string | readonly string[], readonly string[]> {
  return {
    schema: list(parsedText((range) => (isProxyRange(range) ? range : undefined), PROXY_ALLOWED)),
    byDefault: [],
    help,
    group,
    value: 'addresses',
    repeatable: true,
  }
}

/** Checks that a proxy can connect to one of the addresses. @throws Failure */
export function checkProxies({ options, spelled }: Choice<WhereRows>): void {
  const { listen, proxyFrom } = options
  if (proxyFrom.length > 0 && listen.every(({ path, pipePath }) => (path ?? pipePath) !== undefined)) {
    throw needs(spelled('proxyFrom'), 'a TCP address to listen on: give --listen smtp://…')
  }
}

/** Checks that a front can do what the options say. @throws Failure */
export function checkWhereOfFront({ options, spelled }: Choice<WhereRows>): void {
  const pipe = options.listen.find(({ pipePath }) => pipePath !== undefined)
  if (pipe !== undefined) {
    throw new Failure(
      `${spelled('listen')} ${pipe.url}: only a server can listen there; give a front smtp://, smtps:// or another SMTP address`,
    )
  }
  const other = options.listen.find(({ policy, protocol }) => protocol === 'lmtp' || Object.keys(policy).length > 0)
  if (other !== undefined) {
    throw new Failure(
      `${spelled('listen')} ${other.url}: LMTP and options of a listener are only for a server; give a front smtp://HOST:PORT without them`,
    )
  }
  if (options.proxyFrom.length > 0)
    throw new Failure(`${spelled('proxyFrom')}: is only for a server; a front reads no PROXY header`)
}
