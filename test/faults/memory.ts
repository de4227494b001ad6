/** Measures the memory of a server process during a load. */
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByData } from '../corpus/send.ts'
import { type MailServer } from '../kit/postern.ts'

const LARGE = messageOf(20 * MiB).bytes
const SMALL = messageOf(2_000).bytes

const SAMPLE_MS = 20
const SETTLE_MS = 500

/**
 * How much memory may grow during 1 GiB of input. The garbage collector waits until 64 MiB of buffers and more are unused: growth was
 * up to 111 MiB on Node and 186 MiB on Deno. Bun reads up to 512 KiB at a time, so each of 100 clients that do not read may have
 * two such chunks waiting: growth was 194 MiB. A leak, or growth with the input, soon exceeds this limit.
 */
export const BOUND_BYTES: Readonly<Record<string, number>> = { node: 160 * MiB, deno: 320 * MiB, bun: 320 * MiB }
/** How much three rounds of 95 MiB may add after three earlier ones. A server that kept the bytes would add 285 MiB. Garbage added 40. */
export const ROUND_BOUND_BYTES: number = 160 * MiB

export interface Measured {
  readonly baseBytes: number
  readonly peakBytes: number
  readonly growthBytes: number
}

/** Returns the memory of an idle server after some work, when its code is compiled and its heap has its size. */
export async function settledBytes(server: MailServer, work = { small: 100, large: 3 }): Promise<number> {
  using client = await SocketClient.ready(server.port)
  for (let i = 0; i < work.small; i++) await sendByData(client, { bytes: SMALL })
  for (let i = 0; i < work.large; i++) await sendByData(client, { bytes: LARGE })
  await client.quit()
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  return server.residentBytes()
}

/** Does the work, and measures the memory of the server meanwhile. */
export async function measure(server: MailServer, baseBytes: number, work: () => Promise<void>): Promise<Measured> {
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

/** Prints the measured values in MiB. */
export function tell(runtime: string, what: string, { baseBytes, peakBytes, growthBytes }: Measured): void {
  const [base, peak, growth] = [baseBytes, peakBytes, growthBytes].map((bytes) => (bytes / MiB).toFixed(1))
  console.info(`memory on ${runtime}, ${what}: ${base} MiB settled, ${peak} MiB at the most, growth ${growth} MiB`)
}
