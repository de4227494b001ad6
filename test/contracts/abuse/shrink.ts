/** Finds a short session that still fails, by dropping steps. */
import type { Session, Step } from './session.ts'

/** A failure may hang, so there are not many attempts. */
const MAX_ATTEMPTS = 200

/**
 * Returns a session with as few steps as can be found.
 * @param fails Plays a session. Resolves with true if it fails
 */
export async function shrunk(session: Session, fails: (session: Session) => Promise<boolean>): Promise<Session> {
  let { steps } = session
  let attempts = 0
  for (let length = Math.ceil(steps.length / 2); length >= 1; length = length === 1 ? 0 : Math.ceil(length / 2)) {
    // From the end, because what comes after the fault is the most of it.
    for (let at = steps.length - length; at > -length && attempts < MAX_ATTEMPTS; at -= length) {
      const fewer: readonly Step[] = steps.toSpliced(Math.max(0, at), Math.min(length, length + at))
      attempts++
      if (await fails({ ...session, steps: fewer })) steps = fewer
    }
  }
  return { ...session, steps }
}
