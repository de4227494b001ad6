/** The unchanged policy, with users that the tests know. */
import { reply } from '@postern/engine'
import type { Env } from '../src/env.ts'
import { policy as original, type Policy } from '../src/policy.ts'
import type { Settings } from '@postern/worker/settings'

const NO_MAILBOX = reply(550, '5.1.1', 'No such mailbox')
const BUSY = reply(451, '4.7.1', 'Come back later')
const BANNED = reply(550, '5.7.1', 'You are not welcome')

export function policy(settings: Settings, env: Env): Policy {
  const { rcpt } = original(settings, env)
  return {
    mail: ({ localPart }) => (localPart === 'banned' ? BANNED : undefined),
    rcpt(forwardPath, session) {
      if (forwardPath.localPart === 'nobody') return NO_MAILBOX
      if (forwardPath.localPart === 'busy') return BUSY
      return rcpt?.(forwardPath, session)
    },
    data: ({ envelope }) => (envelope.forwardPaths[0]?.localPart === 'full' ? BUSY : undefined),
  }
}
