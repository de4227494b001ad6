/** TLS as a carrier, by `node:tls`. Deno's own TLS cannot be the server's side of a connection that began in clear. */
import type { TLSSocket } from 'node:tls'
import type { Carrier, Sink } from './carrier.ts'
import type { Ciphertext } from './ciphertext.ts'

export class Secure implements Carrier {
  readonly #socket: TLSSocket
  readonly #ciphertext: Ciphertext

  /**
   * @param socket Its handshake is done.
   * @param ciphertext The connection underneath.
   */
  constructor(socket: TLSSocket, ciphertext: Ciphertext, sink: Sink) {
    this.#socket = socket
    this.#ciphertext = ciphertext
    socket.on('error', (error) => {
      sink.error(error)
      // After its handshake, a TLS socket reports an error but does not close.
      socket.destroy()
    })
    socket.on('close', () => ciphertext.whenClosed(() => sink.close()))
    socket.on('drain', () => sink.drain())
    socket.on('finish', () => sink.drain())
    socket.on('end', () => sink.end())
    socket.on('data', (bytes: Uint8Array) => {
      if (sink.data(bytes)) return
      ciphertext.hold()
      socket.pause()
    })
    if (socket.isPaused()) socket.resume()
    // The socket does not repeat events that came before.
    if (socket.readableEnded) sink.end()
    if (socket.destroyed) ciphertext.whenClosed(() => sink.close())
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  get isFinished(): boolean {
    return this.#socket.writableFinished
  }

  write(bytes: Uint8Array): boolean {
    // Deno fails on an empty write here.
    return bytes.byteLength === 0 || this.#socket.write(bytes)
  }

  finish(): void {
    this.#socket.end()
  }

  resume(): void {
    this.#ciphertext.release()
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }
}
