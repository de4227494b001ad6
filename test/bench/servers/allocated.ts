/**
 * How much memory this process has ever asked for, by its runtime's own counters. On SIGUSR2 it is told as one line.
 *
 * - Node has no such counter: what the heap grew by from each garbage collection to the next is added up (v8.GCProfiler), and
 *   the same for buffers, which V8 counts as external. What was asked for and given back in between is not seen of those.
 * - Deno: V8's own `total_allocated_bytes`, of the heap alone.
 * - Bun: mimalloc's count of all that was ever asked of it. JavaScriptCore takes its heap from there by the block, so the
 *   benchmark starts Bun with its collector off (BUN_JSC_useGC=0): each object then costs what it takes, buffers included.
 */
import { announce } from './options.ts'

export interface Allocated {
  readonly heapBytes: number
  /** Buffers outside of the heap; undefined if the runtime does not report them, or counts them with the heap. */
  readonly bufferBytes?: number
}

interface HeapState {
  readonly usedHeapSize: number
  readonly externalMemory: number
}

interface Profiler {
  start(): void
  stop(): { readonly statistics: readonly Collection[] } | undefined
}

interface Collection {
  readonly beforeGC: { readonly heapStatistics: HeapState }
  readonly afterGC: { readonly heapStatistics: HeapState }
}

interface V8 {
  getHeapStatistics(): {
    readonly used_heap_size: number
    readonly external_memory: number
    readonly total_allocated_bytes?: number
  }
  readonly GCProfiler: new () => Profiler
}

/** Begins to count, and answers SIGUSR2 from then on. */
export async function tellAllocated(): Promise<void> {
  const look = await counter()
  process.on('SIGUSR2', () => announce({ ...look() }))
}

async function counter(): Promise<() => Allocated> {
  if ('Bun' in globalThis) {
    // By a name that other runtimes do not look at before it is asked for.
    const name = 'bun:jsc'
    const { heapStats } = (await import(name)) as {
      heapStats(): { mimalloc: { malloc_normal: { total: number }; malloc_huge: { total: number } } }
    }
    return () => {
      const { malloc_normal: normal, malloc_huge: huge } = heapStats().mimalloc
      return { heapBytes: normal.total + huge.total }
    }
  }
  const v8 = (await import('node:v8')) as unknown as V8
  if (v8.getHeapStatistics().total_allocated_bytes === undefined) return nodeCounter(v8)
  return () => ({ heapBytes: v8.getHeapStatistics().total_allocated_bytes ?? 0 })
}

function nodeCounter({ getHeapStatistics, GCProfiler }: V8): () => Allocated {
  const now = (): HeapState => {
    const { used_heap_size: usedHeapSize, external_memory: externalMemory } = getHeapStatistics()
    return { usedHeapSize, externalMemory }
  }
  let profiler = new GCProfiler()
  profiler.start()
  let last = now()
  let heapBytes = 0
  let bufferBytes = 0
  const add = (next: HeapState): void => {
    heapBytes += Math.max(0, next.usedHeapSize - last.usedHeapSize)
    bufferBytes += Math.max(0, next.externalMemory - last.externalMemory)
  }
  return () => {
    for (const { beforeGC, afterGC } of profiler.stop()?.statistics ?? []) {
      add(beforeGC.heapStatistics)
      last = afterGC.heapStatistics
    }
    const state = now()
    add(state)
    last = state
    profiler = new GCProfiler()
    profiler.start()
    return { heapBytes, bufferBytes }
  }
}
