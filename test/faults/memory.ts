/** What a server process has in memory, while something is done to it. */
import { messageOf, MiB } from '../corpus/messages.ts'
import { RawClient } from '../corpus/raw-client.ts'
import { sendByData } from '../corpus/send.ts'
import type { Postern } from '../peers/postern.ts'

const SAMPLE_MS = 20
const SETTLE_MS = 500

/**
 * What memory may grow by while a GiB goes through. What was read is garbage until the collector comes, and it lets 64 MiB of
 * buffers and more pile up before it does: up to 111 MiB was seen on Node, 186 on Deno. Bun gives up to 512 KiB at a time, so
 * that each of 100 clients who do not read may have two such chunks waiting: 194 MiB was seen. What leaks, or grows with what
 * is sent, is soon past this.
 */
export const BOUND_BYTES: Readonly<Record<string, number>> = { node: 160 * MiB, deno: 320 * MiB, bun: 320 * MiB }
/** What three rounds of 95 MiB may add to three before them: kept, they would add 285 MiB. Garbage was seen to add 40. */
export const ROUND_BOUND_BYTES: number = 160 * MiB

export interface Measured {
  readonly baseBytes: number
  readonly peakBytes: number
  readonly growthBytes: number
}

/** Memory of a server that has worked and rests: its code is compiled, its heap has found its size. */
export async function settledBytes(server: Postern, work = { small: 100, large: 5 }): Promise<number> {
  const large = messageOf(20 * MiB).bytes
  const small = messageOf(2_000).bytes
  using client = await RawClient.greeted(server.port)
  for (let i = 0; i < work.small; i++) await sendByData(client, { bytes: small })
  for (let i = 0; i < work.large; i++) await sendByData(client, { bytes: large })
  await client.quit()
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  return server.residentBytes()
}

/** Does the work, and watches the server's memory meanwhile. */
export async function measure(server: Postern, baseBytes: number, work: () => Promise<void>): Promise<Measured> {
  let peakBytes = server.residentBytes()
  const sample = (): void => {
    if (server.isRunning) peakBytes = Math.max(peakBytes, server.residentBytes())
  }
  const timer = setInterval(sample, SAMPLE_MS)
  try {
    await work()
    sample()
  } finally {
    clearInterval(timer)
  }
  return { baseBytes, peakBytes, growthBytes: peakBytes - baseBytes }
}

/** Says what was measured, in MiB. */
export function tell(runtime: string, what: string, { baseBytes, peakBytes, growthBytes }: Measured): void {
  const [base, peak, growth] = [baseBytes, peakBytes, growthBytes].map((bytes) => (bytes / MiB).toFixed(1))
  console.info(`memory on ${runtime}, ${what}: ${base} MiB settled, ${peak} MiB at the most, growth ${growth} MiB`)
}
