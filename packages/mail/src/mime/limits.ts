/** What reading a message may cost. */

export interface MimeLimits {
  /** Parts of a message, multiparts included. What follows the last one is left out. */
  readonly maxParts: number
  /** Multiparts and messages inside one another. What is deeper is one part, as it is written. */
  readonly maxDepth: number
  /** Octets of the header section of one part. The rest of the section is left out. */
  readonly maxHeaderOctets: number
  /** Fields of one header section. Those that follow are left out. */
  readonly maxFields: number
  /** Defects that a part tells. Those that follow are left out. */
  readonly maxDefects: number
}

export const DEFAULT_MIME_LIMITS: MimeLimits = {
  maxParts: 1_000,
  maxDepth: 50,
  maxHeaderOctets: 262_144,
  maxFields: 1_000,
  maxDefects: 20,
}

/** Completes the limits. @throws RangeError if one is not a whole number from 1 */
export function resolveMimeLimits(limits: Partial<MimeLimits> = {}): MimeLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`${name}: ${String(value)} is not a whole number from 1`)
    }
  }
  return { ...DEFAULT_MIME_LIMITS, ...limits }
}

/**
 * For readers that look at each message that arrives, while many arrive at the same time. What follows in a longer header section is left out.
 */
export const ARRIVING_MIME_LIMITS: MimeLimits = { ...DEFAULT_MIME_LIMITS, maxHeaderOctets: 65_536 }
