/** The contract of the client, run inside workerd. */
import { resolve } from 'node:path'
import { clientRows } from '../../../test/contracts/client/client.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { selfSigned } from '../src/sockets/tls/index.ts'
import { testSuite } from './program.ts'
import { bundle, COMPATIBILITY_DATE, serveWorkerd } from './workerd/serving.ts'

interface Door {
  readonly scheme: string
  /** Its socket in workerd's configuration. */
  readonly tcp: string
}

const secure = (name: string, mode = ''): string =>
  `(tlsOptions = (keypair = (privateKey = embed "${name}-key.pem", certificateChain = embed "${name}-cert.pem"))${mode})`
const STARTTLS = ', tlsMode = startTls'
const DOORS: Readonly<Record<string, Door>> = {
  clear: { scheme: 'smtp', tcp: '()' },
  STARTTLS: { scheme: 'smtp+starttls', tcp: secure('own', STARTTLS) },
  'implicit TLS': { scheme: 'smtps', tcp: secure('own') },
  LMTP: { scheme: 'lmtp', tcp: '()' },
  'old server': { scheme: 'smtp', tcp: '()' },
  'untrusted server': { scheme: 'smtp+starttls', tcp: secure('stranger', STARTTLS) },
}

async function outcomesInWorkerd(): Promise<Outcome[]> {
  const [own, stranger] = [await selfSigned(), await selfSigned()]
  const names = Object.keys(DOORS)
  const services = [...names, 'client'].map(
    (name) => `(name = "${name}", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
      compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ["nodejs_compat", "connect_handler_starttls"],
      bindings = [(name = "WAY", text = "${name}")]))`,
  )
  const sockets = Object.entries(DOORS).map(
    ([name, { tcp }]) => `(name = "${name}", address = "127.0.0.1:0", tcp = ${tcp}, service = "${name}")`,
  )
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(',\n')},
    (name = "internet", network = (allow = ["public", "private"],
      tlsOptions = (trustedCertificates = [embed "own-cert.pem"])))],
  sockets = [${sockets.join(',\n')}, (name = "http", address = "127.0.0.1:0", http = (), service = "client")]);
`
  const files = {
    'config.capnp': config,
    'worker.js': await bundle(resolve(import.meta.dirname, 'workerd/client-worker.ts')),
    'own-key.pem': own.key,
    'own-cert.pem': own.cert,
    'stranger-key.pem': stranger.key,
    'stranger-cert.pem': stranger.cert,
  }
  await using workerd = await serveWorkerd(files, [...names, 'http'])
  const urls = Object.fromEntries(
    Object.entries(DOORS).map(([name, { scheme }]) => [name, `${scheme}://127.0.0.1:${workerd.ports[name]}`]),
  )
  const answer = await fetch(`http://127.0.0.1:${workerd.ports['http']}/`, {
    method: 'POST',
    body: JSON.stringify(urls),
  })
  return (await answer.json()) as Outcome[]
}

testSuite({ suite: 'client', runtime: 'workerd', rows: clientRows('workerd'), run: outcomesInWorkerd })
