/**
 * Makes a connection over a MessagePort: between two threads, a page and its worker, or two realms of one program.
 *
 * A port has no back-pressure: posted messages wait in memory without a bound. So the reader asks for each chunk, and the
 * writer waits until it is asked. `fromWebStreams` does everything else that a connection must do.
 */
import type { Duplex } from '@postern/engine'
import { type ConnectionFacts, fromWebStreams } from '@postern/runtime/web'

/** A message on the port. */
interface Packet {
  readonly type: 'pull' | 'bytes' | 'end' | 'broken'
  readonly bytes?: Uint8Array
}

type Port = InstanceType<typeof MessagePort>

/** Makes a wait for the other end's reader. If the connection breaks while nobody waits, the next write rejects. */
function nextPull(): PromiseWithResolvers<void> {
  const pull = Promise.withResolvers<void>()
  pull.promise.catch(() => {})
  return pull
}

/** Makes one end of the connection. The other port of the channel becomes the other end. */
export function overMessagePort(port: Port, facts: ConnectionFacts = {}): Duplex {
  /** Present while the reader at this end waits for a chunk. */
  let pulling: PromiseWithResolvers<void> | undefined
  /** Resolves when the reader at the other end asks for a chunk. A write waits for it. */
  let pulled = nextPull()
  let hasEnded = false
  let openDirections = 2

  function post(packet: Packet, transfer: ArrayBuffer[] = []): void {
    port.postMessage(packet, transfer)
  }
  function answerPull(): void {
    pulling?.resolve()
    pulling = undefined
  }
  function endDirection(): void {
    openDirections -= 1
    if (openDirections === 0) port.close()
  }
  function breakOff(): void {
    post({ type: 'broken' })
    port.close()
  }

  let broken = (_reason: Error): void => {}
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        broken = (reason) => {
          controller.error(reason)
          pulled.reject(reason)
          answerPull()
          breakOff()
        }
        port.addEventListener('message', (event) => {
          const { type, bytes } = (event as MessageEvent).data as Packet
          if (type === 'pull') {
            pulled.resolve()
          } else if (type === 'bytes' && bytes !== undefined && pulling !== undefined) {
            controller.enqueue(bytes)
            answerPull()
          } else if (type === 'end' && !hasEnded) {
            hasEnded = true
            controller.close()
            answerPull()
            endDirection()
          } else {
            // An end that sends without being asked could send without a bound.
            broken(new Error(type === 'broken' ? 'the other end broke off' : `'${type}' out of turn`))
          }
        })
        port.addEventListener('close', () => openDirections > 0 && broken(new Error('the port was closed')))
        port.start()
      },
      pull() {
        pulling = Promise.withResolvers<void>()
        post({ type: 'pull' })
        return pulling.promise
      },
      cancel: breakOff,
    },
    { highWaterMark: 0 },
  )
  const writable = new WritableStream<Uint8Array>({
    async write(bytes) {
      await pulled.promise
      pulled = nextPull()
      // A copy, because the port would send the whole buffer behind a view.
      const copy = bytes.slice()
      post({ type: 'bytes', bytes: copy }, [copy.buffer])
    },
    close() {
      post({ type: 'end' })
      endDirection()
    },
    abort: breakOff,
  })
  return fromWebStreams({ readable, writable, ...facts })
}
