/** Message transfer priorities: RFC 6710. */
import { OptionError } from '../limits.ts'
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

export interface MtPriorityOptions {
  /** The name of the policy that the server follows, such as `MIXER` (RFC 6710 9.2). Default: no name is announced. */
  readonly policy?: string
}

const POLICY = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const PRIORITY = /^(?:0|-?[1-9])$/

/**
 * Add it if mail of a higher priority is sent on earlier.
 * @throws OptionError
 */
export function mtPriority({ policy }: MtPriorityOptions = {}): ProtocolExtension {
  if (policy !== undefined && !POLICY.test(policy)) {
    throw new OptionError('mtPriority.policy', policy, "a name of up to 64 letters, digits, '-', '_' and '.'")
  }
  return {
    keyword: 'MT-PRIORITY',
    advertise: () => policy ?? '',
    lineOctets: { MAIL: 15 },
    mail: {
      'MT-PRIORITY': {
        value: 'required',
        apply(value, envelope) {
          if (!PRIORITY.test(value)) return MALFORMED
          envelope.priority = Number(value)
        },
      },
    },
  }
}
