/** Texts that strangers choose: replies of remote servers, addresses, the message itself. */
import * as fc from 'fast-check'
import PostalMime from 'postal-mime'
import { describe, expect, test } from 'vitest'
import type { ReportedRecipient } from '../../src/report/index.ts'
import { bytesOf, chunked, FAILED, ID, MESSAGE, NOW, partsOf, reportOf, statusOf, textOf } from './sample.ts'

function replying(
  text: string,
  more: Partial<ReportedRecipient> = {},
): { readonly recipients: readonly ReportedRecipient[] } {
  return {
    recipients: [
      { ...FAILED, ...more, reply: { at: NOW, code: 550, enhancedCode: '', text, host: 'mx1.example.net' } },
    ],
  }
}

function expectTidy(bytes: Buffer): void {
  const text = bytes.toString('latin1')
  expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/)
  expect(text.split('\r\n').reduce((longest, line) => Math.max(longest, line.length), 0)).toBeLessThanOrEqual(998)
}

describe('the reply of a remote server', () => {
  test.each([
    [
      'line ends',
      'no\r\nStatus: 2.0.0\r\n\r\nFinal-Recipient: rfc822; x@y',
      '550 no??Status: 2.0.0????Final-Recipient: rfc822; x@y',
    ],
    ['a bare LF', 'no\nAction: delivered', '550 no?Action: delivered'],
    ['octets above 127', 'caf\u00e9 \u202etxt', '550 caf? ?txt'],
    ['an encoded word', '=?utf-8?q?=0D=0AX:_y?=', '550 = ?utf-8?q?=0D=0AX:_y?='],
    ['a boundary', `x\r\n--=_${ID}--\r\n`, `550 x??--=_${ID}--`],
    ['controls', 'a\x00b\x1b[31mc\x7f', '550 a?b?[31mc?'],
  ])('is one line of text if it has %s', async (_, reply, expected) => {
    const text = await textOf(replying(reply))
    expect(statusOf(text)).toHaveLength(2)
    expect(statusOf(text)[1]).toMatchObject({
      Action: 'failed',
      Status: '5.1.1',
      'Diagnostic-Code': `smtp; ${expected}`,
    })
    expect(partsOf(text)).toHaveLength(3)
  })

  test('is cut if it is very long, and broken if it has no blanks', async () => {
    const text = await textOf(replying('x'.repeat(100_000)))
    expectTidy(Buffer.from(text))
    expect(text.length).toBeLessThan(6_000)
    expect(statusOf(text)[1]?.['Diagnostic-Code']).toMatch(/^smtp; 550 x{885,} x+\.\.\.$/)
  })

  test('keeps its UTF-8 if the sender used SMTPUTF8', async () => {
    const envelope = { smtpUtf8: true }
    const report = await reportOf({ ...replying('caf\u00e9 \ud83d\ude00 \ud83d'), envelope })
    const text = (await bytesOf(report)).toString()
    expect(report.body).toBe('8BITMIME')
    expect(partsOf(text)[1]).toMatchObject({ type: 'message/global-delivery-status', encoding: '8bit' })
    expect(statusOf(text)[1]?.['Diagnostic-Code']).toBe('smtp; 550 caf\u00e9 \ud83d\ude00 ?')
  })

  test('cannot put a line, a field or a part into the report, whatever it is', async () => {
    const piece = fc.constantFrom(
      '\r\n',
      '\n',
      '\r',
      '\r\n\r\n',
      `--=_${ID}`,
      ' ',
      '\t',
      '=?',
      '?=',
      'Status: 2.0.0',
      '\ud800',
      '\u2028',
      'x'.repeat(1_200),
    )
    const hostile = fc
      .array(fc.oneof(piece, fc.string({ unit: 'binary' })), { maxLength: 20 })
      .map((pieces) => pieces.join(''))
    await fc.assert(
      fc.asyncProperty(hostile, hostile, hostile, fc.boolean(), async (reply, name, address, smtpUtf8) => {
        const recipient: ReportedRecipient = {
          address: `${address}@example.net`,
          action: 'failed',
          status: name,
          originalRecipient: { addressType: name, address },
          reply: { at: NOW, code: 550, enhancedCode: name, text: reply, host: name },
        }
        const envelope = { smtpUtf8, envelopeId: name, reversePath: `${address}@sender.example` }
        const bytes = await bytesOf(await reportOf({ recipients: [recipient, recipient], envelope }))
        expectTidy(bytes)
        const text = bytes.toString()
        expect(partsOf(text)).toHaveLength(3)
        const groups = statusOf(text)
        expect(groups).toHaveLength(3)
        const allowed = [
          'Action',
          'Diagnostic-Code',
          'Final-Recipient',
          'Last-Attempt-Date',
          'Original-Recipient',
          'Remote-MTA',
          'Status',
        ]
        for (const group of groups.slice(1)) expect(allowed).toEqual(expect.arrayContaining(Object.keys(group)))
        expect(text.slice(0, text.indexOf('\r\n\r\n')).match(/^[A-Za-z-]+:/gm)).toHaveLength(11)
      }),
      { numRuns: 200 },
    )
  })
})

describe('addresses', () => {
  test('that need UTF-8 are written as they are to a sender with SMTPUTF8', async () => {
    const recipients = [
      {
        ...FAILED,
        address: 'j\u00f8rgen@b\u00fccher.example',
        originalRecipient: { addressType: 'utf-8', address: 'j\u00f8@x.example' },
      },
    ]
    const report = await reportOf({ recipients, envelope: { smtpUtf8: true, reversePath: 'ann@sender.example' } })
    const text = (await bytesOf(report)).toString()
    expect(report).toMatchObject({ smtpUtf8: false, body: '8BITMIME' })
    expect(partsOf(text)[1]?.type).toBe('message/global-delivery-status')
    expect(statusOf(text)[1]).toMatchObject({
      'Original-Recipient': 'utf-8; j\u00f8@x.example',
      'Final-Recipient': 'utf-8; j\u00f8rgen@b\u00fccher.example',
    })
    expect((await PostalMime.parse(text)).text).toContain('<j\u00f8rgen@b\u00fccher.example>')
  })

  test('of type utf-8 are written in ASCII to a sender without SMTPUTF8', async () => {
    const originalRecipient = { addressType: 'utf-8', address: 'j\u00f8+x=\u{1f600}@x.example' }
    const report = await reportOf({ recipients: [{ ...FAILED, originalRecipient }] })
    const text = (await bytesOf(report)).toString()
    expect(report.body).toBe('7BIT')
    expect(partsOf(text)[1]?.type).toBe('message/delivery-status')
    expect(statusOf(text)[1]?.['Original-Recipient']).toBe('utf-8; j\\x{F8}\\x{2B}x\\x{3D}\\x{1F600}@x.example')
  })

  test.each(['\\x{0D}\\x{0A}X: y', '\\x{D800}', '\\x{41}', '\\x{zz}', '\\'])(
    'of type utf-8 with %j keep it as text',
    async (address) => {
      const text = await textOf({ recipients: [{ ...FAILED, originalRecipient: { addressType: 'utf-8', address } }] })
      const written = address.replaceAll('\\', '\\x{5C}').replaceAll(' ', '\\x{20}')
      expect(statusOf(text)[1]?.['Original-Recipient']).toBe(`utf-8; ${written}`)
    },
  )

  test('of the sender that need UTF-8 make the report need SMTPUTF8', async () => {
    const report = await reportOf({ envelope: { reversePath: 'j\u00f8@x.example', smtpUtf8: true } })
    expect(report).toMatchObject({ forwardPath: 'j\u00f8@x.example', smtpUtf8: true, body: '8BITMIME' })
    expect((await bytesOf(report)).toString()).toContain('\r\nTo: <j\u00f8@x.example>\r\n')
  })

  test('of the sender that do not fit on a line are not in the header', async () => {
    const reversePath = `${'x'.repeat(1_000)}@sender.example`
    const report = await reportOf({ envelope: { reversePath } })
    expect(report.forwardPath).toBe(reversePath)
    expect((await bytesOf(report)).toString()).toContain('\r\nTo: undisclosed-recipients:;\r\n')
  })
})

describe('a message', () => {
  test('of any bytes is returned as what it is, in any chunks', async () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('', 'Subject: x', '\u00e9', 'x'.repeat(998), 'x'.repeat(2_000), '\n', '\r', ' ', '\t='),
    )
    const content = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('\r\n')))
    await fc.assert(
      fc.asyncProperty(
        content,
        fc.integer({ min: 1, max: 50 }),
        fc.boolean(),
        async (content, chunkOctets, isWhole) => {
          const bytes = await bytesOf(
            await reportOf({ content, chunkOctets, envelope: { ret: isWhole ? 'FULL' : 'HDRS' } }),
          )
          expectTidy(bytes)
          const [, , returned] = partsOf(bytes.toString('latin1'))
          const body = returned?.body ?? ''
          const decoded = returned?.encoding === 'quoted-printable' ? unquoted(body) : body
          expect(content.toString('latin1').startsWith(decoded)).toBe(true)
          if (returned?.type === 'message/rfc822') expect(decoded).toBe(content.toString('latin1'))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('with the boundary of an earlier report does not end a part of this one', async () => {
    const content = `${MESSAGE}--=_${'q'.repeat(20)}--\r\n`
    expect(partsOf(await textOf({ content }))[2]?.body).toBe(content)
  })

  test('that fails while it is read fails the report', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunked(Buffer.from(MESSAGE), 10)
      throw new Error('the disk failed')
    }
    await expect(reportOf({ read: broken })).rejects.toThrow('the disk failed')
  })
})

/** Decodes quoted-printable, by the rules of RFC 2045 6.7. */
function unquoted(text: string): string {
  expect(text).not.toMatch(/[ \t]\r\n/)
  return text
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
