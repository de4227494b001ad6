import v8 from 'node:v8'
import { runtimeName } from './runtime.ts'

/**
 * Keeps Node's heap small for a command that reads many messages. After a large directory was read, V8 would let 64 MB of garbage gather
 * before it collects any. The other runtimes do not have these settings.
 */
export function keepHeapSmall(): void {
  if (runtimeName !== 'node') return
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  v8.setFlagsFromString('--optimize-for-size')
}
