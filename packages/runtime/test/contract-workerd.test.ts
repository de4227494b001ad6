/** The contract of Duplex, run inside workerd: in memory, and over its own sockets. */
import { resolve } from 'node:path'
import { selfSigned } from '../src/sockets/tls/index.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { chosenKinds } from './chosen-kinds.ts'
import { inProcessKinds } from './in-process.ts'
import { checksOf, contractRows, type Kind, type Outcome } from '../../../test/contracts/outcome.ts'
import { testSuite } from './program.ts'
import type { TcpMode } from './workerd/order.ts'
import { Relay } from './workerd/relay.ts'
import { bundle, COMPATIBILITY_DATE, serveWorkerd, type Workerd } from './workerd/serving.ts'

/** Connections of one kind. */
interface TcpKind extends Kind {
  readonly mode: TcpMode
  readonly isUpgraded?: boolean
}

const KINDS: readonly TcpKind[] = [
  { subject: 'TCP', mode: 'clear' },
  { subject: 'TCP that can become TLS', mode: 'starttls', hasStartTls: true },
  { subject: 'implicit TLS', mode: 'implicit TLS' },
  { subject: 'STARTTLS', mode: 'starttls', isUpgraded: true },
]

type Gaps = Readonly<Record<string, string>>

const ALWAYS: Gaps = {
  'each end has the addresses of both ends':
    'a relay outside joins the ends and has other ports; a test of the handler checks the address',
}
const BEFORE_STARTTLS: Gaps = {
  'a read answers at once when bytes are waiting':
    'a reader of workerd cannot be released while it reads, so nothing is read ahead before STARTTLS',
  'startTls makes both ends TLS once, and bytes flow on':
    'workerd does not report the details of a handshake; the contract over STARTTLS checks the rest',
  'startTls drops and counts bytes that came before it':
    'the bytes wait in the system, go into the handshake and break it, so nobody counts them',
}
const ACCEPTED_STAYS_OPEN =
  'workerd closes an accepted socket when its handler ends, and the handler of a session ends with the session'
const FROM_DIALLED: Gaps = {
  'a pending read settles if the peer goes away': ACCEPTED_STAYS_OPEN,
  'a pending write rejects if the peer goes away': ACCEPTED_STAYS_OPEN,
  'startTls rejects if the peer goes away': ACCEPTED_STAYS_OPEN,
  'whenClosed tells of a peer that is gone while nobody reads, once': ACCEPTED_STAYS_OPEN,
  'startTls: a listener of whenClosed from before it is told after it': ACCEPTED_STAYS_OPEN,
}

/** Longer than any check takes on a slow machine. */
const PATIENCE_MS = 90_000
const LOOK_MS = 100

const certificate = await selfSigned()
const relays: Readonly<Record<TcpMode, Relay>> = {
  clear: new Relay('clear', certificate),
  starttls: new Relay('starttls', certificate),
  'implicit TLS': new Relay('implicit TLS', certificate),
}

async function start(): Promise<Workerd> {
  const keyPair = '(privateKey = embed "key.pem", certificateChain = embed "cert.pem")'
  const tcp: Readonly<Record<TcpMode, string>> = {
    clear: '()',
    starttls: `(tlsOptions = (keypair = ${keyPair}), tlsMode = startTls)`,
    'implicit TLS': `(tlsOptions = (keypair = ${keyPair}))`,
  }
  const services: string[] = []
  const sockets: string[] = []
  for (const [mode, relay] of Object.entries(relays) as [TcpMode, Relay][]) {
    const flags = mode === 'starttls' ? 'compatibilityFlags = ["connect_handler_starttls"],' : ''
    services.push(`(name = "${mode}", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
      compatibilityDate = "${COMPATIBILITY_DATE}", ${flags} bindings = [
        (name = "MODE", text = "${mode}"), (name = "RELAY_PORT", text = "${await relay.listen()}")]))`)
    sockets.push(`(name = "${mode}", address = "127.0.0.1:0", tcp = ${tcp[mode]}, service = "${mode}")`)
    sockets.push(`(name = "results of ${mode}", address = "127.0.0.1:0", http = (), service = "${mode}")`)
  }
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${services.join(',\n')},
    (name = "internet", network = (allow = ["public", "private"],
      tlsOptions = (trustedCertificates = [embed "cert.pem"])))],
  sockets = [${sockets.join(',\n')}]);
`
  const files = {
    'config.capnp': config,
    'worker.js': await bundle(resolve(import.meta.dirname, 'workerd/contract-worker.ts')),
    'key.pem': certificate.key,
    'cert.pem': certificate.cert,
  }
  return serveWorkerd(
    files,
    Object.keys(relays).flatMap((mode) => [mode, `results of ${mode}`]),
  )
}

function seen({ subject }: Kind, isDialled: boolean): string {
  return `${isDialled ? 'dialled' : 'accepted'} ${subject}`
}

const IN_PROCESS = chosenKinds('workerd', inProcessKinds, 1)
const CHOSEN = chosenKinds('workerd', KINDS, 2)

function gapsOf({ hasStartTls = false }: Kind, isDialled: boolean): Gaps {
  return { ...ALWAYS, ...(hasStartTls ? BEFORE_STARTTLS : {}), ...(isDialled ? FROM_DIALLED : {}) }
}

/** Returns the checks from one end. A kind that this run leaves out has only its gaps, because docs/runtimes.md lists them all. */
function checksFrom(kind: TcpKind, isDialled: boolean): readonly string[] {
  const gaps = gapsOf(kind, isDialled)
  return checksOf(kind)
    .map(({ name }) => name)
    .filter((name) => CHOSEN.includes(kind) || gaps[name] !== undefined)
}

/** The contract, checked from each end. */
async function overTcp(kind: TcpKind, { ports }: Workerd): Promise<Outcome[]> {
  const { mode, isUpgraded = false } = kind
  const seenFrom = async (check: string, isDialled: boolean): Promise<Outcome> => {
    const subject = seen(kind, isDialled)
    const reason = gapsOf(kind, isDialled)[check]
    if (reason !== undefined) return { subject, check, result: 'skipped', reason }
    const id = `${subject}: ${check}`
    await relays[mode].join(ports[mode] ?? 0, { id, check, isSwapped: isDialled, isUpgraded })
    return { subject, check, ...(await resultOf(id, ports[`results of ${mode}`] ?? 0)) }
  }
  const ends = [false, true]
  return Promise.all(ends.flatMap((isDialled) => checksFrom(kind, isDialled).map((name) => seenFrom(name, isDialled))))
}

async function resultOf(id: string, port: number): Promise<Pick<Outcome, 'result' | 'reason'>> {
  for (let looks = 0; looks < PATIENCE_MS / LOOK_MS; looks++) {
    const answer = await fetch(`http://127.0.0.1:${port}/?id=${encodeURIComponent(id)}`)
    const result = (await answer.json()) as Pick<Outcome, 'result' | 'reason'> | null
    if (result !== null) return result
    await sleep(LOOK_MS)
  }
  return { result: 'failed', reason: 'nothing was heard of it' }
}

async function outcomesInWorkerd(): Promise<Outcome[]> {
  await using workerd = await start()
  const query = IN_PROCESS.map(({ subject }): [string, string] => ['subject', subject])
  const answer = await fetch(`http://127.0.0.1:${workerd.ports['results of clear']}/?${new URLSearchParams(query)}`)
  const outcomes = (await answer.json()) as Outcome[]
  for (const kind of KINDS) {
    outcomes.push(...(await overTcp(kind, workerd)))
  }
  for (const relay of Object.values(relays)) relay.close()
  return outcomes
}

const ends = KINDS.flatMap((kind) =>
  [false, true].flatMap((isDialled) =>
    checksFrom(kind, isDialled).map((check) => ({ subject: seen(kind, isDialled), check })),
  ),
)
const rows = [...contractRows(IN_PROCESS), ...ends]
testSuite({ suite: 'duplex', runtime: 'workerd', rows, run: outcomesInWorkerd })
