/** The unchanged policy, with users that the tests know. */
import { reply } from '@postern/engine'
import type { Policy } from '@postern/worker'
import type { Env } from '../src/policy.ts'

const NO_MAILBOX = reply(550, '5.1.1', 'No such mailbox')
const BUSY = reply(451, '4.7.1', 'Come back later')
const BANNED = reply(550, '5.7.1', 'You are not welcome')

export const policy: Policy<Env> = {
  handlers: {
    mail: ({ localPart }) => (localPart === 'banned' ? BANNED : undefined),
    rcpt({ localPart }) {
      if (localPart === 'nobody') return NO_MAILBOX
      if (localPart === 'busy') return BUSY
      return undefined
    },
    data: ({ envelope }) => (envelope.forwardPaths[0]?.localPart === 'full' ? BUSY : undefined),
  },
}
