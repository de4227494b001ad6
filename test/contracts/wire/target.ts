/** A server that runs somewhere, as the black-box checks see it: ports, and what became of the mail. */
import type { Kept } from '../../peers/store.ts'

/** What a check may need that not every runtime has. */
export type Ability = 'STARTTLS' | 'implicit TLS' | 'AUTH' | 'graceful stop'

/** What a target can't do, and why. */
export type Gaps = Readonly<Partial<Record<Ability, string>>>

export interface Target extends AsyncDisposable {
  /** In clear; STARTTLS where it is able to. */
  readonly smtp: number
  /** TLS from the first byte, where it is able to. */
  readonly smtps: number
  /** PEM: the certificate, which signs itself. */
  readonly caFile: string
  /** What it can't do, and why. */
  readonly gaps: Gaps
  /** A message that was kept. Rejects where there is none. */
  kept(id: string): Promise<Kept>
  /** Ids of all that was kept. */
  ids(): Promise<readonly string[]>
  /** Asks it to stop, gracefully. Resolves with the exit code once it has; it does not run any more then. */
  stop?(): Promise<number | string>
}
