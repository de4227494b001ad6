/** Where a worker thread begins: with what Node compiled for those before it. */
import { keepCompiled } from '../host/compiled.ts'

keepCompiled()
await import('./thread.ts')
