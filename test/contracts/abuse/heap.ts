/** The bytes that live objects take, after a garbage collection, on Node, Deno and Bun. */
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects garbage twice, because finalizers run after the first time. */
export async function collectedBytes(): Promise<number> {
  for (let left = 2; left > 0; left--) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return process.memoryUsage().heapUsed
}

function collect(): void {
  const { Bun } = globalThis as { Bun?: { gc(isSynchronous: boolean): void } }
  if (Bun !== undefined) return Bun.gc(true)
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}
