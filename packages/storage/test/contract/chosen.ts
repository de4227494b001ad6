/** Chooses the checks of the contract of stores that a run makes on a backend in a runtime. With THOROUGH=1 it makes all. */
import type { Check } from '../../../../test/contracts/blobs/check.ts'
import { BOUNDED, LARGE } from '../../../../test/contracts/blobs/sizes.ts'
import { sample } from '../../../../test/kit/sample.ts'
import type { Runtime } from './backends.ts'
import { CHECKS, type Part } from './outcomes.ts'

/** Each call to these backends goes to another process. In Node, a run makes all checks on every other backend. */
const FAR: readonly string[] = ['r2', 'disk of workerd', 's3 on R2', 's3 on swift']

/** Where 100 MiB go to another process. A run sends them in one of these places. In other places this is a gap. */
const FAR_SENDERS: readonly string[] = ['r2 workerd', 's3 on R2 node', 's3 on swift node']
const SENT_FAR: readonly string[] = sample(FAR_SENDERS, 1)

/** Elsewhere a run makes one in so many of the checks that are not essential. */
const ONE_IN = 10

/** Returns the chosen checks of a part, in their order. */
export function chosenChecks(part: Part, backend: string, runtime: Runtime): readonly Check[] {
  const isFar = FAR.includes(backend)
  if (runtime === 'node' && !isFar) return CHECKS[part]
  const place = `${backend} ${runtime}`
  // A run need not send 100 MiB through a near backend in a second runtime.
  const isSent = isFar && (!FAR_SENDERS.includes(place) || SENT_FAR.includes(place))
  // A gap costs nothing, and docs/runtimes.md lists each.
  const isMeasured = isFar ? isSent || runtime === 'workerd' : backend !== 'fs'
  const isAlwaysMade = ({ name, isEssential = false }: Check): boolean =>
    isEssential || (name === BOUNDED && isMeasured) || (name === LARGE && isSent)
  const isLeftOut = ({ name }: Check): boolean => isFar && !isSent && (name === LARGE || name === BOUNDED)
  const others = CHECKS[part].filter((check) => !isAlwaysMade(check) && !isLeftOut(check))
  const chosen = sample(others, Math.ceil(others.length / ONE_IN), saltOf(`${part} ${backend} ${runtime}`))
  return CHECKS[part].filter((check) => isAlwaysMade(check) || chosen.includes(check))
}

function saltOf(text: string): number {
  return Array.from(text).reduce((salt, letter) => (Math.imul(salt, 31) + letter.charCodeAt(0)) | 0, 0)
}
