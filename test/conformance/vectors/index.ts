/** All vectors, by theme. */
import type { Vector } from '../vector.ts'
import { addresses } from './addresses.ts'
import { auth } from './auth.ts'
import { chunking } from './chunking.ts'
import { crossProtocol } from './cross-protocol.ts'
import { data } from './data.ts'
import { extensions } from './extensions.ts'
import { hello } from './hello.ts'
import { limits } from './limits.ts'
import { lmtp } from './lmtp.ts'
import { loops } from './loops.ts'
import { parameters } from './parameters.ts'
import { policy } from './policy.ts'
import { sequence } from './sequence.ts'
import { smuggling } from './smuggling.ts'
import { syntax } from './syntax.ts'
import { trusted } from './trusted.ts'

export const VECTORS: Readonly<Record<string, readonly Vector[]>> = {
  addresses,
  auth,
  chunking,
  'cross-protocol': crossProtocol,
  data,
  extensions,
  hello,
  limits,
  lmtp,
  loops,
  parameters,
  policy,
  sequence,
  smuggling,
  syntax,
  trusted,
}
