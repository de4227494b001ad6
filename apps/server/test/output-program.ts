/** Four threads that write long lines to standard output, which is a pipe, at the same time. */
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { sharedOutput } from '../src/workers/output.ts'

const THREADS = 3
const words = isMainThread
  ? new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  : (workerData.words as Int32Array)
if (isMainThread) {
  for (let index = 1; index <= THREADS; index++) {
    new Worker(new URL(import.meta.url), { workerData: { words, index } }).on('error', () => process.exit(1))
  }
}
const letter = 'abcd'[isMainThread ? 0 : workerData.index] ?? ''
const out = sharedOutput(1, words)
for (let n = 0; n < 20; n++) out.write(`${letter.repeat(20_000)}${n}\n`)
if (!isMainThread) process.exit()
