/** The common part of every attack: bounded connections, and the end of the attack. */
import type { AttackOrder, AttackOutcome, Tally } from './order.ts'
import { Peer, type PeerEvents } from './peer.ts'

/** The number of connections that one attack may open in all, whatever its order says. */
const MAX_OPENED = 30_000

export class Field {
  readonly tally: Tally = { opened: 0, failed: 0, closed: 0, octets: 0, replies: {} }
  readonly #order: AttackOrder
  readonly #peers = new Set<Peer>()
  readonly #startedMs = performance.now()
  readonly #over = Promise.withResolvers<void>()
  readonly #timer: NodeJS.Timeout
  #begun = 0
  #isOver = false

  constructor(order: AttackOrder) {
    this.#order = order
    this.#timer = setTimeout(() => this.end(), order.seconds * 1000)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** True if the bound of octets is reached. Connections then send nothing more. */
  get isSpent(): boolean {
    return this.#isOver || this.tally.octets >= this.#order.maxOctets
  }

  /** Opens a connection from the next address, if one more is allowed. */
  open(events: PeerEvents): void {
    if (this.#isOver || this.#begun >= MAX_OPENED) return
    const { port, addresses } = this.#order
    const peer = new Peer(port, addresses[this.#begun++ % addresses.length] as string, this.tally, {
      ...events,
      closed: () => {
        this.#peers.delete(peer)
        if (!this.#isOver) events.closed?.(peer)
      },
    })
    this.#peers.add(peer)
  }

  /** Opens connections. Opens each again this long after it has ended. */
  keepOpen(connections: number, reopenMs: number, events: (index: number) => PeerEvents): void {
    const open = (index: number): void => {
      const again = (): void => void (this.#isOver || setTimeout(open, reopenMs, index))
      this.open({ ...events(index), closed: again })
    }
    for (let index = 0; index < connections; index++) open(index)
  }

  end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    for (const peer of this.#peers) peer.abandon()
    this.#over.resolve()
  }

  async outcome(): Promise<AttackOutcome> {
    await this.#over.promise
    return { ...this.tally, seconds: (performance.now() - this.#startedMs) / 1000 }
  }
}
