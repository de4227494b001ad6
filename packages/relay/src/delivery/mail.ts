/** What is sent of a delivery, and what becomes of it when it is not sent at all. Pure. */
import type { OutgoingEnvelope } from '@postern/engine/client'
import type { Claim } from '../queue/queue.ts'
import type { Attempt } from './attempt.ts'

/** Makes the envelope of one transaction. */
export function envelopeOf(
  { envelope, recipients }: Claim,
  from: number,
  to: number,
  topOctets: number,
): OutgoingEnvelope {
  const { reversePath, body, smtpUtf8, size, ret, envelopeId, requireTls, priority, deliverBy } = envelope
  return {
    reversePath,
    forwardPaths: recipients.slice(from, to).map(({ address, notify, originalRecipient }) => ({
      address,
      ...(notify !== undefined && { notify }),
      ...(originalRecipient !== undefined && {
        originalRecipient: { type: originalRecipient.addressType, address: originalRecipient.address },
      }),
    })),
    bodyType: body,
    smtpUtf8,
    ...(size !== undefined && { size: size + topOctets }),
    ...(ret !== undefined && { ret }),
    ...(envelopeId !== undefined && { envelopeId }),
    ...(requireTls === true && { requireTls }),
    ...(priority !== undefined && { priority }),
    ...(deliverBy !== undefined && {
      deliverBy: {
        seconds: Math.ceil((deliverBy.deadline - Date.now()) / 1000),
        mode: deliverBy.mode,
        trace: deliverBy.trace,
      },
    }),
  }
}

export function expired({ recipients }: Claim): Attempt {
  const text = 'the time that the sender gave is over'
  const result = { state: 'failed', code: 0, enhancedCode: '5.4.7', text, host: '', passesNotify: false } as const
  return { results: recipients.map(() => result), learnt: 'none', mayBeAccepted: false }
}

/** Merges the attempts with parts of the recipients. */
export function merged(attempts: readonly Attempt[]): Attempt {
  const learnt = attempts.map((each) => each.learnt)
  return {
    results: attempts.flatMap(({ results }) => results),
    learnt: learnt.includes('refused') ? 'refused' : learnt.includes('succeeded') ? 'succeeded' : 'none',
    mayBeAccepted: attempts.some(({ mayBeAccepted }) => mayBeAccepted),
  }
}
