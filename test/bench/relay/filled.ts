/** A server whose queue is full, and that sends nothing yet. */
export interface Filled extends AsyncDisposable {
  /** Lets it send. */
  release(): Promise<void>
  /** Returns the CPU time that it has used so far. */
  cpuSeconds(): number
  /** Returns the memory of all its processes. */
  residentBytes(): number
  /** Returns whether its queue is empty. */
  isDone(): Promise<boolean>
}
