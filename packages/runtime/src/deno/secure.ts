/** TLS as a carrier. Deno has no TLS of its own for the server's side of a connection that began in clear: `node:tls` has. */
import type { TLSSocket } from 'node:tls'
import type { Carrier, Sink } from './carrier.ts'

export class Secure implements Carrier {
  readonly #socket: TLSSocket

  /** @param socket Its handshake is done. */
  constructor(socket: TLSSocket, sink: Sink) {
    this.#socket = socket
    socket.on('error', (error) => {
      sink.error(error)
      // After its handshake, TLS tells of an error and does nothing about it.
      socket.destroy()
    })
    socket.on('close', () => sink.close())
    socket.on('drain', () => sink.drain())
    socket.on('finish', () => sink.drain())
    socket.on('end', () => sink.end())
    socket.on('data', (bytes: Uint8Array) => {
      if (!sink.data(bytes)) socket.pause()
    })
    if (socket.isPaused()) socket.resume()
    // What happened before nobody tells again.
    if (socket.readableEnded) sink.end()
    if (socket.destroyed) sink.close()
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  get isFinished(): boolean {
    return this.#socket.writableFinished
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  finish(): void {
    this.#socket.end()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }
}
