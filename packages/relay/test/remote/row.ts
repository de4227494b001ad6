/** Runs one row of the table in docs/relay.md: the relay sends a message to servers of a script, over TCP. */
import { addressRanges } from '@postern/engine'
import { connect } from '@postern/runtime/node'
import type { ClientTimeouts } from '@postern/engine/client'
import { memory } from '@postern/storage/memory'
import { connectTo } from '../../../../apps/server/src/serve/relay/router.ts'
import { countTls, type MailHere, LOCAL, mxRouter, Relay, Spool } from '../../src/index.ts'
import { memoryQueue } from '../../src/queue/memory/index.ts'
import type { Queue } from '../../src/queue/queue.ts'
import { createStsPolicies } from '../../src/route/index.ts'
import { TlsCounter } from '../../src/tls-report/index.ts'
import { startZone, type TlsaText, type Zone } from '../route/zone.ts'
import { type Behaviour, startFarServer } from './far-server.ts'
import { readReport, type ReportedRecipient } from './report.ts'

/** Addresses of the hosts in the zones of rows. */
export const FIRST = '127.0.0.2'
export const SECOND = '127.0.0.3'

export interface Row {
  /** What the other server does. The first column of the table. */
  readonly name: string
  /** What the standards want, with the section. The second column. */
  readonly rule: string
  /** What the relay does. The third column. */
  readonly does: string
  /** The host of {@link FIRST}. */
  readonly far?: Behaviour
  /** The host of {@link SECOND}, with which far.example has two MX hosts. */
  readonly second?: Behaviour
  /** Default: far.example with the MX hosts above. */
  readonly zone?: Zone
  /** Local parts at far.example. Default: bob. */
  readonly to?: readonly string[]
  readonly body?: '7BIT' | '8BITMIME' | 'BINARYMIME'
  readonly text?: string
  readonly tls?: 'may' | 'must' | 'verified'
  /** The authority that is trusted. */
  readonly ca?: string
  /** TLSA records of hosts. DNSSEC vouches for every answer then. */
  readonly tlsa?: Readonly<Record<string, readonly TlsaText[] | 'failed'>>
  readonly requireTls?: true
  /** The MTA-STS policy of far.example. */
  readonly policy?: string
  readonly timeouts?: Partial<ClientTimeouts>
  /** How often the delivery is tried. The later attempts are made at once. Default 1. */
  readonly attempts?: number
  /** The commands on each connection, those of one connection joined by blanks. */
  readonly wire: readonly string[]
  /** Whole command lines that must be on the wire. */
  readonly lines?: readonly string[]
  /** For each recipient: `waits 451 4.7.1`, `failed 550 5.1.1` or `delivered 250 2.0.0`, after the last attempt. */
  readonly becomes: Readonly<Record<string, string>>
  /** How often the message is at the other server. Default: 1 if somebody got it. */
  readonly copies?: number
  /** For each failed recipient: Status and Diagnostic-Code. */
  readonly report?: Readonly<Record<string, readonly [status: string, diagnostic: string]>>
  /** Attempts after which the server may have the message. Default 0. */
  readonly unanswered?: number
  /** What TLS-RPT counts of far.example: `sts: 1 good`, or `sts: 1 certificate-host-mismatch`. Default: it is not compared. */
  readonly tlsCounts?: readonly string[]
}

export interface Outcome {
  readonly tlsCounts: readonly string[]
  readonly wire: readonly string[]
  readonly lines: readonly string[]
  readonly becomes: Readonly<Record<string, string>>
  readonly taken: readonly string[]
  readonly reports: readonly (readonly ReportedRecipient[])[]
  /** Messages in the spool and entries in the queue, after the last attempt and its reports. */
  readonly left: readonly [messages: number, entries: number]
  readonly unanswered: number
}

const HOSTNAME = 'mx.near.example'
export const TEXT = 'From: ann@near.example\r\nSubject: row\r\n\r\nhello\r\n.dot\r\n'
const REPORT_ID = 'TESTREPORT0000000000'

const ONE_HOST: Zone = { 'far.example': { MX: [[10, 'mx1.far.example']] }, 'mx1.far.example': { A: [FIRST] } }
const TWO_HOSTS: Zone = {
  'far.example': {
    MX: [
      [20, 'mx2.far.example'],
      [10, 'mx1.far.example'],
    ],
  },
  'mx1.far.example': { A: [FIRST] },
  'mx2.far.example': { A: [SECOND] },
}

export async function runRow(row: Row): Promise<Outcome> {
  const { far = {}, second, to = ['bob'], body = '7BIT', text = TEXT, attempts = 1, policy } = row
  const hosts = { [FIRST]: far, ...(second !== undefined && { [SECOND]: second }) }
  await using server = await startFarServer(hosts)
  const zone = row.zone ?? (second === undefined ? ONE_HOST : TWO_HOSTS)
  const sts: Zone = policy === undefined ? {} : { '_mta-sts.far.example': { TXT: ['v=STSv1; id=1'] } }
  await using dns = await startZone(signed({ ...zone, ...sts }, row.tlsa, server.port))
  const { resolver } = dns
  const queue = memoryQueue()
  const blobs = memory()
  const here: string[] = []
  const seen: Record<string, string> = {}
  const counter = new TlsCounter()
  let attempted = 0
  let unanswered = 0
  const relay = new Relay({
    hostname: HOSTNAME,
    queue,
    spool: new Spool(blobs),
    router: mxRouter({
      resolver,
      ownNames: [HOSTNAME],
      ownAddresses: addressRanges(['127.0.0.9']),
      port: server.port,
      tls: row.tls ?? 'may',
      trustsDnssec: row.tlsa !== undefined,
      tlsCounts: counter,
      ...(policy !== undefined && {
        sts: createStsPolicies({ resolver, fetch: async () => ({ status: 'fetched', text: policy }) }),
      }),
    }),
    connect: countTls(
      (hop, isInClear, signal) =>
        connectTo(hop, isInClear, signal, {
          connect,
          hostname: HOSTNAME,
          ca: row.ca === undefined ? [] : [row.ca],
          timeouts: row.timeouts,
        }),
      counter,
    ),
    destinationOf: (address) => (address.endsWith('@near.example') ? LOCAL : address.slice(address.indexOf('@') + 1)),
    keepHere: async (mail) => {
      here.push(await textOf(mail))
      return mail.addresses.map(() => ({ state: 'delivered', code: 250, enhancedCode: '2.0.0', text: 'kept' }) as const)
    },
    makeId: () => REPORT_ID,
    // Later attempts are made at once: a rest would only make the test wait.
    congestion: { restMs: 1, maxRestMs: 1 },
    events: {
      attempted({ destination, recipients }, results) {
        if (destination === LOCAL) return
        for (const { index, state, reply } of results) {
          const address = recipients.find((recipient) => recipient.index === index)?.address ?? ''
          const code = [reply?.code === 0 ? '' : reply?.code, reply?.enhancedCode].filter(Boolean).join(' ')
          seen[address.slice(0, address.indexOf('@'))] = `${state === 'pending' ? 'waits' : state} ${code}`
        }
        attempted++
      },
      unanswered: () => unanswered++,
      failed: (error) => {
        throw error
      },
    },
  })
  relay.start()
  try {
    const recipients = to.map((localPart) => ({ address: `${localPart}@far.example` }))
    const { requireTls } = row
    const envelope = { reversePath: 'ann@near.example', body, smtpUtf8: false, requireTls }
    await relay.submit({ id: 'M1', envelope, recipients, pieces: [Buffer.from(text, 'latin1')] })
    for (let done = 1; done <= attempts; done++) {
      await until(async () => attempted >= done && (await queue.stats()).leased === 0)
      if (done < attempts) {
        await queue.retry(['M1'], Date.now())
        relay.wake()
      }
    }
    await until(async () => (await isQuiet(queue)) && (await areSettled(queue, seen)))
  } finally {
    await relay.stop(0)
  }
  const left = [(await blobs.list()).keys.length, (await queue.stats()).entries] as const
  await expectSame(queue, seen)
  await queue.close()
  const lines = server.connections.map((commands) => commands.filter((line) => line !== ''))
  return {
    wire: lines.map((commands) => commands.map((line) => line.split(' ', 1)[0]).join(' ')),
    lines: lines.flat(),
    becomes: seen,
    taken: server.taken,
    reports: here.map((report) => readReport(report)),
    left,
    unanswered,
    tlsCounts: tlsCountsOf(counter),
  }
}

function tlsCountsOf(counter: TlsCounter): readonly string[] {
  return counter.take().flatMap(({ domain, policies }) => {
    if (domain !== 'far.example') throw new Error(`${domain} is counted`)
    return policies.flatMap(({ policy, successes, failures, details }) => {
      const kinds = details.map(({ type, count }) => `${policy.type}: ${count} ${type}`)
      if (details.reduce((sum, { count }) => sum + count, 0) !== failures) throw new Error('the sum is wrong')
      return successes > 0 ? [`${policy.type}: ${successes} good`, ...kinds] : kinds
    })
  })
}

/** Adds TLSA records. */
function signed(zone: Zone, tlsa: Row['tlsa'], port: number): Zone {
  if (tlsa === undefined) return zone
  const records = Object.entries(tlsa).map(([host, TLSA]) => [`_${port}._tcp.${host}`, { TLSA }] as const)
  return Object.fromEntries(
    [...Object.entries(zone), ...records].map(([name, found]) => [
      name,
      found === 'failed' ? found : { ...found, signed: true },
    ]),
  )
}

/** Nothing is on its way, and no report waits. */
async function isQuiet(queue: Queue): Promise<boolean> {
  const { leased } = await queue.stats()
  const { entries } = await queue.list({ destination: LOCAL })
  return leased === 0 && entries.length === 0
}

/** The entry is gone if nobody waits. */
async function areSettled(queue: Queue, seen: Readonly<Record<string, string>>): Promise<boolean> {
  const isDone = Object.values(seen).every((state) => !state.startsWith('waits'))
  return !isDone || (await queue.get('M1')) === undefined
}

/** Compares what the relay told with what the queue has. */
async function expectSame(queue: Queue, seen: Readonly<Record<string, string>>): Promise<void> {
  const entry = await queue.get('M1')
  for (const { address, state, lastReply } of entry?.deliveries.flatMap(({ recipients }) => recipients) ?? []) {
    const code = [lastReply?.code === 0 ? '' : lastReply?.code, lastReply?.enhancedCode].filter(Boolean).join(' ')
    const kept = `${state === 'pending' ? 'waits' : state} ${code}`
    const told = seen[address.slice(0, address.indexOf('@'))]
    if (kept !== told) throw new Error(`${address}: the queue has ${kept}, and the relay told ${told}`)
  }
}

async function textOf({ envelope, open }: MailHere): Promise<string> {
  if (envelope.reversePath !== '') throw new Error('a report is from <>')
  const chunks: Uint8Array[] = []
  for await (const chunk of open()) chunks.push(chunk.slice())
  return Buffer.concat(chunks).toString('latin1')
}

/** Waits as long as a busy machine needs. The test's own time limit ends it. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((next) => setTimeout(next, 2))
}
