/** `@postern/intake/settings`: rules that the settings of the server and of the Worker share. */
import type { Retention } from '@postern/storage'

const PREFIX = 'POSTERN_'

/** The settings of the retention limits. */
export type RetentionName = 'keepAgeMs' | 'keepCount' | 'keepBytes'

export interface RetentionRule {
  readonly limit: keyof Retention
  /** The smallest allowed value. The largest is Infinity, the default. */
  readonly min: number
}

/** The retention limits. Each has a minimum, so that a number whose unit was forgotten does not remove all mail. */
export const RETENTION_RULES: Readonly<Record<RetentionName, RetentionRule>> = {
  keepAgeMs: { limit: 'maxAgeMs', min: 60_000 },
  keepCount: { limit: 'maxCount', min: 1 },
  keepBytes: { limit: 'maxBytes', min: 1024 * 1024 },
}

/** Returns the environment variable of a setting: `maxMessageBytes` is `POSTERN_MAX_MESSAGE_BYTES`. */
export function variableOf(name: string): string {
  return PREFIX + name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
