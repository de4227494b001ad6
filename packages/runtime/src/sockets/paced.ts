/** The least time between two reports. */
const PAUSE_MS = 1_000

/**
 * Passes on one report a second. If an accept fails, with too many open files for example, it fails again for each
 * connection that waits.
 */
export function paced(report: (error: Error) => void): (error: Error) => void {
  let nextMs = -Infinity
  return (error) => {
    const nowMs = performance.now()
    if (nowMs < nextMs) return
    nextMs = nowMs + PAUSE_MS
    report(error)
  }
}
