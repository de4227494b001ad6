/** The same Worker, and the disk that mail is kept on. */
export { default, ImplicitTls, Postern } from '../src/worker.ts'
export { Disk } from '../src/durable-disk.ts'
