/** `@postern/intake/settings`: what settings have in common wherever Postern runs. */
import type { Retention } from '@postern/storage'

const PREFIX = 'POSTERN_'

/** The settings that say how much is kept. */
export type RetentionName = 'keepAgeMs' | 'keepCount' | 'keepBytes'

export interface RetentionRule {
  readonly limit: keyof Retention
  /** The least that it may be; the most is Infinity, which is the default. */
  readonly min: number
}

/** The least of each limit on what is kept: a number whose unit was forgotten must not remove everything. */
export const RETENTION_RULES: Readonly<Record<RetentionName, RetentionRule>> = {
  keepAgeMs: { limit: 'maxAgeMs', min: 60_000 },
  keepCount: { limit: 'maxCount', min: 1 },
  keepBytes: { limit: 'maxBytes', min: 1024 * 1024 },
}

/** `maxMessageBytes` is `POSTERN_MAX_MESSAGE_BYTES`. */
export function variableOf(name: string): string {
  return PREFIX + name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
