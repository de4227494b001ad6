/** Finds the messages that come into the store from now on, for `list --follow` and `watch`. */
import process from 'node:process'
import { shortestSweepMs } from '@postern/intake'
import type { MailStore, WalkedMail } from '@postern/storage'
import type { Settings } from '../../config/settings.ts'
import { errorText } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'
import { Follower } from '../reading/follow.ts'
import { refused } from './mail.ts'

/** Makes the follower of a store. Like the sweep of a server, it relies on the longest time that a message can take. */
export function followerOf(store: MailStore, { options }: Settings, signal: AbortSignal): Follower {
  const failed = (error: unknown): void => {
    process.stderr.write(`postern: ${safe(errorText(error))}; trying again\n`)
  }
  return new Follower(store, { longestMs: shortestSweepMs(options), signal, failed })
}

/** Yields each new message. @throws Failure if the store can't be read, and a retry can't help */
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
