/** What `list --follow` and `watch` share: messages that come into the store from now on. */
import process from 'node:process'
import { shortestSweepMs } from '@postern/intake'
import type { MailStore, WalkedMail } from '@postern/storage'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'
import { Follower } from '../reading/follow.ts'
import { refused } from './mail.ts'

/** A server's sweep relies on the same time: no message takes longer from its id to the store. */
export function followerOf(store: MailStore, { options }: Settings, signal: AbortSignal): Follower {
  const failed = (error: unknown): void => {
    process.stderr.write(`postern: ${safe(errorText(error))}; trying again\n`)
  }
  return new Follower(store, { longestMs: shortestSweepMs(options), signal, failed })
}

/** @throws Failure if the store can't be read, and this may not pass */
export async function* newMail(follower: Follower, heldBytes: number = 0): AsyncGenerator<WalkedMail> {
  try {
    yield* follower.messages({ heldBytes })
  } catch (error) {
    throw refused(error)
  }
}

export function reportCorrupt(id: string): void {
  process.stderr.write(`postern: the record of ${safe(id)} can't be read\n`)
}
