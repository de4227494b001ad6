/** @postern/runtime/web: Web streams as the engine's Duplex, and the reverse. */
import type { Duplex } from '@postern/engine'
import { type ConnectionFacts, StreamDuplex, type StreamPair } from './duplex.ts'

export type { ConnectionFacts, StreamPair } from './duplex.ts'
export { toWebStreams } from './streams.ts'

/** The streams, and what is known about their connection. */
export interface WebStreamsOptions extends StreamPair, ConnectionFacts {}

/**
 * Makes a Duplex from any pair of byte streams, and locks them. `end` closes the writable. `destroy` aborts it and
 * cancels the readable.
 * @throws TypeError if a stream is locked already, RangeError for `lingerMs`
 */
export function fromWebStreams(options: WebStreamsOptions): Duplex {
  return new StreamDuplex(options, options)
}
