/** The faults between a server and its S3, each with the expected outcome. */
import { MiB } from '../corpus/messages.ts'
import { isThorough } from '../kit/sample.ts'
import * as fault from './fault.ts'
import type { S3Operation } from './operation.ts'
import type { Fault, FaultProxy, Rule } from './proxy.ts'

/** Sizes of messages whose bytes are one PUT, and of messages whose bytes are an upload of parts. Each also has an envelope. */
export const SIZES: Readonly<Record<'small' | 'large', readonly number[]>> = {
  small: [1, 70_000],
  // Three parts, or two.
  large: [(isThorough ? 10 : 5) * MiB + 10_000],
}

/** A request that the fault hits. */
type Target = 'bytes' | 'envelope' | 'create' | 'part'

const RULES: Readonly<Record<Target, Rule>> = {
  // The request that makes a blob appear: one PUT, or the end of an upload. If PUT takes no condition, small blobs are uploads too.
  bytes: { operation: ['put', 'complete'], key: /\.eml$/ },
  envelope: { operation: ['put', 'complete'], key: /\.json$/ },
  create: { operation: 'create' },
  part: { operation: 'part' },
}

const WRITES: readonly Target[] = ['bytes', 'envelope', 'create', 'part']
/** Requests with a body of more than a few bytes. */
const BODIES: readonly Target[] = ['bytes', 'envelope', 'part']
const BYTES: readonly Target[] = ['bytes', 'create']
const ENVELOPE: readonly Target[] = ['envelope']

export interface FaultRow {
  /** Causes the fault. */
  readonly breaks: (proxy: FaultProxy) => void | Promise<void>
  /** The outcome of all messages: kept, or refused with a temporary code. Either, if it depends on the time left to check. */
  readonly all: 'kept' | 'refused' | 'either'
  /** Milliseconds from the first message until the fault passes. By default it passes once all messages are answered. */
  readonly mendsAfterMs?: number
  /** True if the request took effect, so that a refused message may be there if it could not be removed in time. */
  readonly mayBeThere?: boolean
}

/** Hits each target so many times, or every time without a number. */
function hit(targets: readonly Target[], fault: Fault, times?: number): FaultRow['breaks'] {
  return (proxy) => {
    for (const target of targets) proxy.trap({ ...RULES[target], ...(times !== undefined && { times }) }, fault)
  }
}

function every(operations: readonly S3Operation[], fault: Fault): FaultRow['breaks'] {
  return (proxy) => void proxy.trap({ operation: operations }, fault)
}

/** Redirects with a `Location` as AWS sends it, to an address that the client must not follow. */
const elsewhere = { Location: 'http://127.0.0.1:1/', 'x-amz-bucket-region': 'eu-west-1' }
const PORTAL = '<html><body>Please log in to this network</body></html>'

/** The longest rows come first. */
export const ROWS: Readonly<Record<string, FaultRow>> = {
  'bytes: no write is answered': { breaks: hit(BYTES, fault.hang), all: 'refused' },
  'parts: no write is answered': { breaks: hit(['bytes', 'part'], fault.hang), all: 'refused' },
  'envelope: each write succeeds and is never answered': {
    breaks: hit(ENVELOPE, fault.keepAnswer),
    all: 'either',
    mayBeThere: true,
  },
  'bytes: each write succeeds and is never answered': { breaks: hit(['bytes'], fault.keepAnswer), all: 'either' },
  'envelope: every answer is lost': { breaks: hit(ENVELOPE, fault.loseAnswer), all: 'either', mayBeThere: true },
  'bytes: every answer is lost': { breaks: hit(['bytes'], fault.loseAnswer), all: 'either' },
  'an answer comes one byte at a time, without end': { breaks: hit(WRITES, fault.dripForever(200)), all: 'refused' },
  'bodies are read one byte at a time': { breaks: hit(BODIES, fault.dripRequest(1, 500)), all: 'refused' },
  'every body ends in a reset': { breaks: hit(BODIES, fault.cutRequest(100)), all: 'refused' },
  'every write of bytes gets 503': { breaks: hit(BYTES, fault.refusal(503, 'SlowDown')), all: 'refused' },
  'every write of the envelope gets 503': { breaks: hit(ENVELOPE, fault.refusal(503, 'SlowDown')), all: 'refused' },
  'a byte changes in every body': { breaks: hit(['bytes', 'part'], fault.corruptRequest(90)), all: 'refused' },
  'connections are refused': { breaks: (proxy) => proxy.refuse(), all: 'refused' },
  'connections are accepted, and nothing is read': {
    breaks(proxy) {
      proxy.isDeaf = true
      proxy.cutConnections()
    },
    all: 'refused',
  },
  'every request after the first part is reset': {
    breaks: every(['part', 'complete', 'abort', 'put'], fault.reset),
    all: 'refused',
  },
  'one write is not answered': { breaks: hit(WRITES, fault.hang, 1), all: 'kept' },
  'one write succeeds and is not answered': { breaks: hit(WRITES, fault.keepAnswer, 1), all: 'kept' },
  'one body is not read': { breaks: hit(WRITES, fault.holdBody(5_000), 1), all: 'kept' },
  'connections are refused for a while': { breaks: (proxy) => proxy.refuse(), all: 'kept', mendsAfterMs: 700 },
  '503 for a while': {
    breaks: hit(WRITES, fault.refusal(503, 'ServiceUnavailable')),
    all: 'kept',
    mendsAfterMs: 700,
  },
  'the answer is lost': { breaks: hit(WRITES, fault.loseAnswer, 2), all: 'kept' },
  'a reset in the answer': { breaks: hit(WRITES, fault.cutAnswer(30), 2), all: 'kept' },
  'a reset in the body': { breaks: hit(BODIES, fault.cutRequest(100), 2), all: 'kept' },
  'a reset in the middle of a part': { breaks: hit(['part'], fault.cutRequest(3 * MiB), 2), all: 'kept' },
  'a connection that was closed while idle': { breaks: hit(WRITES, fault.reset, 2), all: 'kept' },
  'the connection is closed after each answer': {
    breaks: every(['put', 'create', 'part', 'complete', 'head'], fault.closeAfter),
    all: 'kept',
  },
  'a few writes get 500': { breaks: hit(WRITES, fault.refusal(500, 'InternalError'), 3), all: 'kept' },
  '503 before the body is read': {
    breaks: hit(WRITES, fault.refusal(503, 'SlowDown', { reads: false }), 2),
    all: 'kept',
  },
  '429, Retry-After: 1': {
    breaks: hit(WRITES, fault.refusal(429, 'TooManyRequests', { headers: { 'Retry-After': '1' } }), 1),
    all: 'kept',
  },
  '503, Retry-After: 3600': {
    breaks: hit(BYTES, fault.refusal(503, 'SlowDown', { headers: { 'Retry-After': '3600' } })),
    all: 'refused',
  },
  '502 in HTML': { breaks: hit(WRITES, fault.answerOf(502, PORTAL), 2), all: 'kept' },
  '500 without end': { breaks: hit(WRITES, fault.answerOf(500, fault.endless), 1), all: 'kept' },
  '200 with an error inside': {
    breaks: (proxy) =>
      void proxy.trap({ operation: 'complete', times: 3 }, fault.answerOf(200, fault.errorXml('InternalError'))),
    all: 'kept',
  },
  'another program answers 200 with HTML': { breaks: hit(WRITES, fault.answerOf(200, PORTAL)), all: 'refused' },
  '200 without end': { breaks: hit(WRITES, fault.answerOf(200, fault.endless)), all: 'refused' },
  'a byte of the body changes': { breaks: hit(['bytes', 'part'], fault.corruptRequest(90), 1), all: 'kept' },
  'a slow answer': { breaks: hit(WRITES, fault.dripAnswer(50, 20), 2), all: 'kept' },
  'a slow reader': { breaks: hit(['part'], fault.dripRequest(256 * 1024, 20), 2), all: 'kept' },
  '100 and 103 come before the answer': { breaks: hit(WRITES, fault.interim), all: 'kept' },
  'expired credentials': { breaks: hit(WRITES, fault.refusal(403, 'ExpiredToken')), all: 'refused' },
  'a wrong clock': { breaks: hit(WRITES, fault.refusal(403, 'RequestTimeTooSkewed')), all: 'refused' },
  '412 for a free key': { breaks: hit(WRITES, fault.refusal(412, 'PreconditionFailed')), all: 'refused' },
  'a redirect to another region': {
    breaks: hit(WRITES, fault.refusal(301, 'PermanentRedirect', { headers: elsewhere })),
    all: 'refused',
  },
  'a temporary redirect': {
    breaks: hit(WRITES, fault.refusal(307, 'TemporaryRedirect', { headers: elsewhere })),
    all: 'refused',
  },
}
