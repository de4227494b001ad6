/** What the queue keeps of an envelope of SMTP. */
import { asciiDomain, type Envelope, type ForwardPath } from '@postern/engine'
import type { QueueEnvelope } from '../queue/entry.ts'

export function queueEnvelope({
  reversePath,
  body,
  smtpUtf8,
  ret,
  envelopeId,
  requireTls,
  priority,
  deliverBy,
  holdUntil,
}: Envelope): Omit<QueueEnvelope, 'size'> {
  return {
    reversePath: reversePath.address,
    body,
    smtpUtf8,
    ret,
    envelopeId,
    requireTls,
    priority,
    holdUntil: holdUntil?.getTime(),
    deliverBy: deliverBy && { deadline: deliverBy.deadline.getTime(), mode: deliverBy.mode, trace: deliverBy.trace },
  }
}

export function recipientOf({
  address,
  notify,
  originalRecipient,
}: ForwardPath): Pick<ForwardPath, 'address' | 'notify' | 'originalRecipient'> {
  return { address, ...(notify && { notify }), ...(originalRecipient && { originalRecipient }) }
}

/** Returns the destination of an address of another server: its domain. */
export function domainOf(address: string): string {
  const domain = address.slice(address.lastIndexOf('@') + 1)
  return asciiDomain(domain) ?? domain.toLowerCase()
}
