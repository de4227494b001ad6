/** As much of a Web stream of bytes as is used here: that of a response, or of R2's binding. */
export interface ByteStream {
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
    cancel(reason?: unknown): Promise<void>
  }
}

/** The chunks of a stream, without a promise besides the stream's own. Whoever leaves the loop early cancels it. */
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
