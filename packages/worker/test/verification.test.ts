/** A Worker that verifies, inside of workerd: a long message waits in the store, and a forged one is refused. */
import { expect, test } from 'vitest'
import { recordsOf, signed } from '../../mail/test/trust/signed.ts'
import { verifyingWorker } from './verifying.ts'

const RECORDS = { ...recordsOf('sender.example'), '_dmarc.sender.example': 'v=DMARC1; p=reject' }

test('workerd keeps a long message that is proved, and refuses it after a change of an octet', async () => {
  await using worker = await verifyingWorker(RECORDS)
  const forged = 'Authentication-Results: mx.example.com; dmarc=pass\r\n'
  const lines = 'a line of a long message\r\n'.repeat(20_000)
  const message = await signed(`From: ann@sender.example\r\nSubject: x\r\n\r\n${lines}`, { selector: 'r' })
  const kept = await worker.take(forged + message)
  expect(kept.verdicts).toMatchObject([
    { dkim: [{ result: 'pass' }], sender: { domain: 'sender.example', by: 'dmarc' }, removedClaims: 1 },
  ])
  const [text = ''] = kept.texts
  expect(text).toMatch(/^Authentication-Results: mx\.example\.com;\r\n\tspf=none;\r\n\tdkim=pass /)
  expect(text.endsWith(message)).toBe(true)
  expect(text).not.toContain(forged)
  const refused = await worker.take(message.replace('long', 'Long'))
  expect(refused).toMatchObject({ refusal: expect.stringMatching(/^5\.7\.26 /), texts: [] })
  expect([kept.waiting, refused.waiting]).toEqual([[], []])
})
