/** Makes workerd's configuration: the Worker, its disk, its queue, and three sockets. */

export interface ConfigOptions {
  /** An absolute path. */
  readonly directory: string
  readonly smtp: string
  readonly smtps: string
  readonly http: string
  /** Whether `relay-ca.pem` is there: authorities that are trusted in place of those of browsers. */
  readonly hasRelayCa: boolean
  /** The names of environment variables for the Worker. Their values are only in the environment. */
  readonly variables: readonly string[]
}

/** Makes the file's text. `key.pem`, `cert.pem` and `worker.js` must be in the same directory. */
export function capnpConfig({ directory, smtp, smtps, http, hasRelayCa, variables }: ConfigOptions): string {
  const names = [...new Set(['POSTERN_HOSTNAME', 'POSTERN_DOMAINS', ...variables])]
  const bindings = names.map((name) => `    (name = ${text(name)}, fromEnvironment = ${text(name)}),`)
  const trusted = hasRelayCa ? 'trustedCertificates = [embed "relay-ca.pem"]' : 'trustBrowserCas = true'
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "postern", worker = .postern),
    # The smarthost may be a machine beside this one.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (${trusted}))),
    (name = "disk", disk = (path = ${text(directory)}, writable = true)),
  ],
  sockets = [
    (name = "smtp", address = ${text(smtp)}, service = "postern", tcp = (tlsOptions = .tls, tlsMode = startTls)),
    (name = "smtps", address = ${text(smtps)}, service = (name = "postern", entrypoint = "ImplicitTls"), tcp = (tlsOptions = .tls)),
    (name = "http", address = ${text(http)}, service = "postern", http = ()),
  ],
);

const tls :Workerd.TlsOptions = (
  keypair = (privateKey = embed "key.pem", certificateChain = embed "cert.pem"),
  minVersion = tls1Dot2,
);

const postern :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  # Experimental in workerd.
  compatibilityFlags = ["connect_handler_starttls"],
  durableObjectNamespaces = [
    (className = "Disk", uniqueKey = "postern-disk", enableSql = true),
    (className = "MailQueue", uniqueKey = "postern-queue", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "DISK", durableObjectNamespace = "Disk"),
    (name = "RELAY", durableObjectNamespace = "MailQueue"),
${bindings.join('\n')}
  ],
);
`
}

/** Quotes a text for Cap'n Proto. */
function text(value: string): string {
  if (/[\p{Cc}]/u.test(value)) throw new RangeError(`${JSON.stringify(value)}: control characters are not allowed`)
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
