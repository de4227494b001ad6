/** A running server for the black-box checks: its ports and its kept mail. */
import type { Kept } from '../../peers/store.ts'

/** Features that a check may need and that not every runtime has. */
export type Ability = 'STARTTLS' | 'implicit TLS' | 'AUTH' | 'graceful stop'

/** The missing features of a target, with the reasons. */
export type Gaps = Readonly<Partial<Record<Ability, string>>>

export interface Target extends AsyncDisposable {
  /** The port in clear, with STARTTLS if the target supports it. */
  readonly smtp: number
  /** The port of implicit TLS, if the target supports it. */
  readonly smtps: number
  /** PEM: the certificate, which signs itself. */
  readonly caFile: string
  /** The missing features, with the reasons. */
  readonly gaps: Gaps
  /** Returns a kept message. Rejects if there is none. */
  kept(id: string): Promise<Kept>
  /** Returns the ids of all kept messages. */
  ids(): Promise<readonly string[]>
  /** Stops the server gracefully. Resolves with the exit code once the server has ended. */
  stop?(): Promise<number | string>
}
