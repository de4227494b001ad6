/** The entry of a worker thread. It uses Node's compile cache. */
import { keepCompiled } from '../host/compiled.ts'

keepCompiled()
await import('./thread.ts')
