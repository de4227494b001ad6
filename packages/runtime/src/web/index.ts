/** @postern/runtime/web: Web streams as the engine's Duplex, and the reverse. */
import type { Duplex } from '@postern/engine'
import { type ConnectionFacts, StreamDuplex, type StreamPair } from './duplex.ts'

export type { ConnectionFacts, StreamPair } from './duplex.ts'
export { toWebStreams } from './streams.ts'

/** The streams, and what is known of their connection. */
export interface WebStreamsOptions extends StreamPair, ConnectionFacts {}

/**
 * Makes a Duplex of any pair of streams of bytes. From then on they are locked. `end` closes the writable. `destroy` aborts it and
 * cancels the readable. @throws TypeError if a stream is locked already, RangeError for `lingerMs`
 */
export function fromWebStreams(options: WebStreamsOptions): Duplex {
  return new StreamDuplex(options, options)
}
