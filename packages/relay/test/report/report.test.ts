import PostalMime from 'postal-mime'
import { describe, expect, test } from 'vitest'
import { makeReport } from '../../src/report/index.ts'
import {
  ARRIVED,
  bytesOf,
  type Difference,
  FAILED,
  ID,
  MESSAGE,
  NOW,
  partsOf,
  reportOf,
  statusOf,
  textOf,
} from './sample.ts'

const DELAYED: Difference = {
  kind: 'delayed',
  recipients: [
    {
      ...FAILED,
      action: 'delayed',
      status: '4.4.1',
      reply: { at: NOW, code: 0, enhancedCode: '', text: 'the connection timed out', host: 'mx1.example.net' },
      retryUntil: ARRIVED + 5 * 86_400_000,
    },
  ],
}

describe('a report', () => {
  test('is from <>, to the sender, and asks for no reports itself', async () => {
    expect(await reportOf()).toMatchObject({
      reversePath: '',
      forwardPath: 'ann@sender.example',
      notify: ['NEVER'],
      smtpUtf8: false,
      body: '7BIT',
      requireTls: false,
    })
  })

  test('has a header that programs recognise as that of a report, and that answers the message', async () => {
    const { headers } = await PostalMime.parse(await textOf())
    const values = Object.fromEntries(headers.map(({ key, value }) => [key, value]))
    expect(values).toMatchObject({
      from: 'Mail Delivery System <postmaster@mx.example.com>',
      to: '<ann@sender.example>',
      date: 'Tue, 01 Dec 2026 06:30:00 +0000',
      'message-id': `<${ID}@mx.example.com>`,
      'in-reply-to': '<first@sender.example>',
      references: '<first@sender.example>',
      subject: 'Your message could not be delivered',
      'auto-submitted': 'auto-replied',
      'mime-version': '1.0',
    })
    expect(values['content-type']).toMatch(/^multipart\/report; *report-type=delivery-status; *boundary="/)
  })

  test('has fields for programs in the order of RFC 3464', async () => {
    const envelope = { envelopeId: 'QQ 314' }
    const recipients = [{ ...FAILED, originalRecipient: { addressType: 'rfc822', address: 'robert@example.net' } }]
    const [, status] = partsOf(await textOf({ envelope, recipients }))
    expect(status?.type).toBe('message/delivery-status')
    expect(status?.body.split('\r\n')).toEqual([
      'Original-Envelope-Id: QQ 314',
      'Reporting-MTA: dns; mx.example.com',
      'Arrival-Date: Tue, 01 Dec 2026 02:00:00 +0000',
      '',
      'Original-Recipient: rfc822; robert@example.net',
      'Final-Recipient: rfc822; bob@example.net',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx1.example.net',
      'Diagnostic-Code: smtp; 550 5.1.1 no such user',
      'Last-Attempt-Date: Tue, 01 Dec 2026 06:29:59 +0000',
      '',
    ])
  })

  test('has a group of fields for each recipient', async () => {
    const recipients = ['a', 'b', 'c'].map((name) => ({ ...FAILED, address: `${name}@example.net` }))
    const [, ...groups] = statusOf(await textOf({ recipients }))
    expect(groups.map((group) => group['Final-Recipient'])).toEqual([
      'rfc822; a@example.net',
      'rfc822; b@example.net',
      'rfc822; c@example.net',
    ])
  })

  test('says to people which server refused the message, and what it said', async () => {
    const [words] = partsOf(await textOf())
    expect(words).toMatchObject({ type: 'text/plain', encoding: '7bit' })
    expect(words?.body.split('\r\n')).toEqual([
      'This is an automatic message from the mail server mx.example.com.',
      'Your message arrived there on Tue, 01 Dec 2026 02:00:00 +0000.',
      '',
      'The message could not be delivered to this recipient.',
      'The server does not try again.',
      '',
      '<bob@example.net>',
      '  The server mx1.example.net refused the message:',
      '  550 5.1.1 no such user',
      '',
      'The next part of this message says the same in a form for programs.',
      'The last part is your message.',
      '',
    ])
  })

  test('on a delay says when the last attempt is made, and has only the header of the message', async () => {
    const text = await textOf(DELAYED)
    const [words, , returned] = partsOf(text)
    expect(text).toContain('Subject: Your message is delayed\r\n')
    expect(words?.body).toContain(
      'until Sun, 06 Dec 2026 02:00:00 +0000. You need not\r\n    send the message again.\r\n',
    )
    expect(words?.body).toContain('\r\n  the connection timed out (mx1.example.net)\r\n')
    expect(statusOf(text)[1]).toMatchObject({
      Action: 'delayed',
      Status: '4.4.1',
      'Remote-MTA': 'dns; mx1.example.net',
      'Diagnostic-Code': 'x-postern; the connection timed out',
      'Will-Retry-Until': 'Sun, 06 Dec 2026 02:00:00 +0000',
    })
    expect(returned?.type).toBe('text/rfc822-headers')
  })

  test('on a success tells relayed from delivered', async () => {
    const relayed = { address: 'bob@example.net', action: 'relayed', status: '2.1.9' } as const
    const delivered = { address: 'eve@example.net', action: 'delivered', status: '2.1.5' } as const
    const text = await textOf({ kind: 'success', recipients: [relayed, delivered] })
    const [, ...groups] = statusOf(text)
    expect(groups.map(({ Action }) => Action)).toEqual(['relayed', 'delivered'])
    expect(partsOf(text)[0]?.body).toContain('  The next server has the message. It sends no report itself.\r\n')
    expect(partsOf(text)[2]?.type).toBe('text/rfc822-headers')
  })

  test('lists a hundred recipients for people, and all of them for programs', async () => {
    const recipients = Array.from({ length: 130 }, (_, at) => ({ ...FAILED, address: `user${at}@example.net` }))
    const text = await textOf({ recipients })
    expect(partsOf(text)[0]?.body).toContain('<user99@example.net>')
    expect(partsOf(text)[0]?.body).not.toContain('<user100@example.net>')
    expect(partsOf(text)[0]?.body).toContain('There are 30 more recipients.')
    expect(statusOf(text)).toHaveLength(131)
  })

  test('is refused to a message from <>', async () => {
    await expect(reportOf({ envelope: { reversePath: '' } })).rejects.toThrow(TypeError)
  })

  test.each(['', 'short', 'a b c d e f g h i', 'x'.repeat(65), 'abcdefghij012345"\r\n'])(
    'refuses the id %j',
    async (id) => {
      await expect(reportOf({ id })).rejects.toThrow(TypeError)
    },
  )
})

describe('the message that is returned', () => {
  test.each<[string, Difference, string, string]>([
    ['is whole if RET is absent', {}, 'message/rfc822', MESSAGE],
    ['is whole if RET=FULL', { envelope: { ret: 'FULL' } }, 'message/rfc822', MESSAGE],
    ['is only its header if RET=HDRS', { envelope: { ret: 'HDRS' } }, 'text/rfc822-headers', 'header'],
    [
      'is only its header if RET=FULL and nothing failed',
      { ...DELAYED, envelope: { ret: 'FULL' } },
      'text/rfc822-headers',
      'header',
    ],
    [
      'is only its header if it needs REQUIRETLS',
      { envelope: { ret: 'FULL', requireTls: true } },
      'text/rfc822-headers',
      'header',
    ],
    [
      'is only its header if it is longer than the bound',
      { maxReturnedOctets: MESSAGE.length - 1 },
      'text/rfc822-headers',
      'header',
    ],
    ['is whole if it is as long as the bound', { maxReturnedOctets: MESSAGE.length }, 'message/rfc822', MESSAGE],
    ['is only its header if it is BINARYMIME', { envelope: { body: 'BINARYMIME' } }, 'text/rfc822-headers', 'header'],
  ])('%s', async (_, difference, type, expected) => {
    const [, , returned] = partsOf(await textOf(difference))
    const header = MESSAGE.slice(0, MESSAGE.indexOf('\r\n\r\n') + 2)
    expect(returned).toEqual({ type, encoding: '7bit', body: expected === 'header' ? header : expected })
  })

  test('needs 8BITMIME if it has octets above 127', async () => {
    const content = `${MESSAGE}caf\u00e9\r\n`
    const report = await reportOf({ content })
    expect(report.body).toBe('8BITMIME')
    const text = (await bytesOf(report)).toString()
    expect(partsOf(text)[2]).toEqual({ type: 'message/rfc822', encoding: '8bit', body: content })
  })

  test.each([
    ['a line that is too long', `${'x'.repeat(999)}\r\n`],
    ['a bare LF', 'one\ntwo\r\n'],
    ['a bare CR', 'one\rtwo\r\n'],
    ['a bare CR at its end', 'one\r'],
    ['a NUL', 'one\x00\r\n'],
  ])('is only its header if it has %s', async (_, body) => {
    expect(partsOf(await textOf({ content: MESSAGE + body }))[2]?.type).toBe('text/rfc822-headers')
  })

  test('is encoded if its header is not plain ASCII', async () => {
    const content = Buffer.from('Subject: caf\xe9 = \r\nX-Bare: a\nb\x00\r\n\r\nbody\r\n', 'latin1')
    const report = await reportOf({ content })
    expect(report.body).toBe('7BIT')
    expect(partsOf((await bytesOf(report)).toString())[2]).toEqual({
      type: 'text/rfc822-headers',
      encoding: 'quoted-printable',
      body: 'Subject: caf=E9 =3D=20\r\nX-Bare: a=0Ab=00\r\n',
    })
  })

  test('is message/global if its sender used SMTPUTF8 and its header has UTF-8', async () => {
    const envelope = { smtpUtf8: true }
    const content = 'Subject: caf\u00e9\r\n\r\nbody\r\n'
    expect(partsOf(await textOf({ envelope, content }))[2]).toEqual({
      type: 'message/global',
      encoding: '8bit',
      body: content,
    })
    expect(partsOf(await textOf({ envelope: { ...envelope, ret: 'HDRS' }, content }))[2]).toEqual({
      type: 'message/global-headers',
      encoding: 'quoted-printable',
      body: 'Subject: caf=C3=A9\r\n',
    })
  })

  test('may have no body, no header, or nothing at all', async () => {
    for (const content of ['Subject: x\r\n', '\r\nbody', '', 'Subject: x'])
      expect(partsOf(await textOf({ content }))[2]).toEqual({ type: 'message/rfc822', encoding: '7bit', body: content })
    expect(partsOf(await textOf({ content: '\r\nbody', envelope: { ret: 'HDRS' } }))[2]?.body).toBe('')
    expect(partsOf(await textOf({ content: 'Subject: x', envelope: { ret: 'HDRS' } }))[2]?.body).toBe('Subject: x')
  })

  test('has at most 64 KiB of a header without an end', async () => {
    const line = `X-Filler: ${'x'.repeat(88)}\r\n`
    const content = line.repeat(2_000)
    const [, , returned] = partsOf(await textOf({ content }))
    expect(returned).toEqual({ type: 'text/rfc822-headers', encoding: '7bit', body: line.repeat(655) })
  })

  test('is read no further than it is needed, and never kept', async () => {
    const header = 'Subject: big\r\n\r\n'
    let chunks = 0
    let left = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from(header)
        for (;;) {
          chunks++
          yield Buffer.alloc(1_024, 'x')
        }
      } finally {
        left++
      }
    }
    const message = {
      queuedAt: ARRIVED,
      envelope: { reversePath: 'a@b.example', body: '7BIT', smtpUtf8: false },
    } as const
    const options = {
      kind: 'failed',
      id: ID,
      now: NOW,
      hostname: 'mx.example.com',
      message,
      recipients: [FAILED],
    } as const
    const text = (await bytesOf(await makeReport({ ...options, read: endless }))).toString()
    expect(partsOf(text)[2]?.body).toBe('Subject: big\r\n')
    expect(chunks).toBe(64)
    expect(left).toBe(2)
  })

  test.each([
    'Message-ID: no brackets',
    'Message-ID: <a b@c>',
    `Message-ID: <${'x'.repeat(300)}@y>`,
    'X-Message-ID: <a@b>',
  ])('is not answered by its Message-ID if that is %j', async (line) => {
    const text = await textOf({ content: `${line}\r\n\r\nbody\r\n` })
    expect(text.slice(0, text.indexOf('\r\n\r\n'))).not.toContain('In-Reply-To')
  })

  test('is answered by a Message-ID on a line of its own, in chunks of any size', async () => {
    const content =
      'Subject: x\r\nMESSAGE-ID:\r\n  <folded@example.com>\r\nX: y\r\n\r\nMessage-ID: <body@example.com>\r\n'
    for (const chunkOctets of [1, 2, 3, 7, 1_000])
      expect(await textOf({ content, chunkOctets })).toContain('\r\nIn-Reply-To: <folded@example.com>\r\n')
  })
})
