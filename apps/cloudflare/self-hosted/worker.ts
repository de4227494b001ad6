/** The same Worker, and the Disk that stores mail. */
export { default, ImplicitTls, Postern } from '../src/worker.ts'
export { Disk } from '../src/durable-disk.ts'
