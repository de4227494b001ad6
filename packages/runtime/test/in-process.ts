/** Connections inside a program: the same on every runtime. */
import type { Duplex } from '@postern/engine'
import { pair } from '../src/memory/index.ts'
import { fromWebStreams, toWebStreams } from '../src/web/index.ts'
import type { PairKind } from '../../../test/contracts/outcome.ts'

/** Makes two connected ends from streams inside the program. */
async function transformPair(lingerMs: number): Promise<readonly [Duplex, Duplex]> {
  const there = new TransformStream<Uint8Array, Uint8Array>()
  const back = new TransformStream<Uint8Array, Uint8Array>()
  return [
    fromWebStreams({ readable: back.readable, writable: there.writable, lingerMs }),
    fromWebStreams({ readable: there.readable, writable: back.writable, lingerMs }),
  ]
}

/** Turns a Duplex into streams, and these into a Duplex again. */
async function roundTripPair(lingerMs: number): Promise<readonly [Duplex, Duplex]> {
  const [near, far] = pair({ lingerMs })
  return [fromWebStreams({ ...toWebStreams(near), lingerMs }), fromWebStreams({ ...toWebStreams(far), lingerMs })]
}

export const inProcessKinds: readonly PairKind[] = [
  { subject: 'memory', hasStartTls: true, makePair: async (lingerMs) => pair({ lingerMs, startTls: true }) },
  {
    subject: 'memory, cut up',
    hasStartTls: true,
    makePair: async (lingerMs) => pair({ lingerMs, startTls: true, chunkBytes: 61 }),
  },
  { subject: 'Web streams', makePair: transformPair },
  { subject: 'Web streams of a Duplex', makePair: roundTripPair },
]
