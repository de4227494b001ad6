/** The part of a Web stream of bytes that is used here. Responses and R2's binding have such streams. */
export interface ByteStream {
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
    cancel(reason?: unknown): Promise<void>
  }
}

/**
 * Iterates over the chunks of a stream, with no other promise than the stream's own. A loop that is left early cancels
 * the stream.
 */
export function chunksOf(stream: ByteStream): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const reader = stream.getReader()
      return {
        next: () => reader.read() as Promise<IteratorResult<Uint8Array>>,
        async return() {
          await reader.cancel().catch(() => undefined)
          return { done: true, value: undefined }
        },
      }
    },
  }
}
