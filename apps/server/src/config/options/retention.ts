/** How much mail is kept. */
import { RETENTION_RULES } from '@postern/intake/settings'
import type { ByteQuantity, TimeQuantity } from '../values/quantity.ts'
import { amount, type Option } from './row.ts'

export interface RetentionRows {
  /** Remove older mail at start and every hour: `30d`. Default Infinity. */
  readonly keepAgeMs: Option<TimeQuantity, number>
  /** Keep only this many of the newest messages; remove older ones at start and every hour. Default Infinity. */
  readonly keepCount: Option<number, number>
  /**
   * Keep only the newest mail, up to this size, and in any case the newest message. Remove older mail at start and every hour.
   * Default Infinity.
   */
  readonly keepBytes: Option<ByteQuantity, number>
}

export const retentionRows: RetentionRows = {
  keepAgeMs: row('keepAgeMs', 'remove mail that is older than this, such as 30d'),
  keepCount: row('keepCount', 'keep only the newest messages, up to this number'),
  keepBytes: row('keepBytes', 'keep only the newest mail, up to this size'),
}

function row(name: keyof typeof RETENTION_RULES, help: string): Option<number, number> {
  const { min } = RETENTION_RULES[name]
  return amount(name, { min, byDefault: Infinity }, { group: 'Retention:', help, commands: ['serve', 'sweep'] })
}
