/** The least time between two reports. */
const PAUSE_MS = 1_000

/** Passes on one report a second, because accepting (with too many open files, say) fails again for each connection that waits. */
export function paced(report: (error: Error) => void): (error: Error) => void {
  let nextMs = -Infinity
  return (error) => {
    const nowMs = performance.now()
    if (nowMs < nextMs) return
    nextMs = nowMs + PAUSE_MS
    report(error)
  }
}
