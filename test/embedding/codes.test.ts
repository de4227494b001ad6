/** The named codes stand for those of the RFCs, and `reply` takes them. */
import { createServer, reply } from '@postern/engine'
import { ENHANCED_CODE, REPLY_CODE } from '@postern/engine/codes'
import { expect, test } from 'vitest'
import { converse } from './dialogue.ts'

test('a hook answers with the named codes', async () => {
  const server = createServer({
    hostname: 'mx.example.com',
    rcpt: () => reply(REPLY_CODE.mailboxUnavailable, `5.${ENHANCED_CODE.badDestinationMailbox}`, 'Nobody'),
  })
  const text = await converse(server, 'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n')
  expect(text).toContain('\r\n550 5.1.1 Nobody\r\n')
})

test('`reply` takes every named code', () => {
  for (const code of Object.values(REPLY_CODE)) expect(reply(code, '', 'x').wire).toBe(`${code} x\r\n`)
  for (const detail of Object.values(ENHANCED_CODE)) {
    expect(reply(554, `5.${detail}`, 'x').wire).toBe(`554 5.${detail} x\r\n`)
  }
})
