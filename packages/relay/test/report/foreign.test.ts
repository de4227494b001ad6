/** Other programs read our reports: Python's email package, flufl.bounce (of Mailman), and a parser for Perl. */
import { describe, expect } from 'vitest'
import { FLUFL, PERL_BOUNCES, PYTHON, DEBIAN_PYTHON } from '../../../../test/kit/abilities.ts'
import { testWith } from '../../../../test/kit/need.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { ARRIVED, bytesOf, type Difference, FAILED, NOW, reportOf } from './sample.ts'

const RECIPIENTS = [
  FAILED,
  {
    address: '"a b"@example.net',
    action: 'failed',
    status: '4.4.2',
    originalRecipient: { addressType: 'rfc822', address: 'alias@example.org' },
    reply: { at: NOW, code: 0, enhancedCode: '', text: 'the connection was lost', host: '[192.0.2.7]' },
  },
] as const
const BODY = 'Message-ID: <first@sender.example>\r\nSubject: caf\u00e9\r\n\r\nline \u00e9\r\n.\r\n--\r\n'

/** Parses a report by Python's email package. */
const PYTHON_PROGRAM = `
import sys, json, email, email.policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)
words, status, returned = message.iter_parts()
groups = [dict(group.items()) for group in status.get_payload()] if status.get_content_type() == 'message/delivery-status' else []
inner = returned.get_payload(0).as_bytes() if returned.get_content_type() == 'message/rfc822' else returned.get_payload(decode=True)
print(json.dumps({
  'type': message.get_content_type(), 'report': message.get_param('report-type'), 'defects': [str(d) for d in message.defects],
  'words': words.get_content(), 'status': status.get_content_type(), 'groups': groups,
  'returned': returned.get_content_type(), 'inner': inner.decode('utf-8', 'surrogateescape'),
}))
`

async function readBy(command: string, args: readonly string[], difference: Difference): Promise<string> {
  const input = await bytesOf(await reportOf(difference))
  return (await mustRun(command, args, { input })).stdout.toString()
}

describe('a report', () => {
  testWith([PYTHON], 'is read by Python as it was meant', async () => {
    const read = JSON.parse(
      await readBy('python3', ['-c', PYTHON_PROGRAM], { recipients: RECIPIENTS, content: BODY }),
    ) as {
      readonly words: string
      readonly groups: readonly unknown[]
      readonly inner: string
    }
    expect(read).toMatchObject({
      type: 'multipart/report',
      report: 'delivery-status',
      defects: [],
      status: 'message/delivery-status',
      returned: 'message/rfc822',
    })
    expect(read.words).toContain('<"a b"@example.net>')
    expect(read.groups).toEqual([
      { 'Reporting-MTA': 'dns; mx.example.com', 'Arrival-Date': 'Tue, 01 Dec 2026 02:00:00 +0000' },
      {
        'Final-Recipient': 'rfc822; bob@example.net',
        Action: 'failed',
        Status: '5.1.1',
        'Remote-MTA': 'dns; mx1.example.net',
        'Diagnostic-Code': 'smtp; 550 5.1.1 no such user',
        'Last-Attempt-Date': 'Tue, 01 Dec 2026 06:29:59 +0000',
      },
      {
        'Original-Recipient': 'rfc822; alias@example.org',
        'Final-Recipient': 'rfc822; "a b"@example.net',
        Action: 'failed',
        Status: '4.4.2',
        'Remote-MTA': 'dns; [192.0.2.7]',
        'Diagnostic-Code': 'x-postern; the connection was lost',
        'Last-Attempt-Date': 'Tue, 01 Dec 2026 06:30:00 +0000',
      },
    ])
    expect(read.inner).toContain('line \u00e9\r\n.\r\n--\r\n')
  })

  testWith([PYTHON], 'with an encoded header is read by Python as that header', async () => {
    const difference = { content: BODY, envelope: { ret: 'HDRS' } } as const
    const read: unknown = JSON.parse(await readBy('python3', ['-c', PYTHON_PROGRAM], difference))
    expect(read).toMatchObject({
      returned: 'text/rfc822-headers',
      inner: 'Message-ID: <first@sender.example>\r\nSubject: caf\u00e9\r\n',
    })
  })

  const flufl = `
import sys, email
from flufl.bounce import all_failures
temporary, permanent = all_failures(email.message_from_bytes(sys.stdin.buffer.read()))
print(sorted(a.decode() for a in temporary), sorted(a.decode() for a in permanent))
`
  testWith(
    [FLUFL],
    'on a failure is a permanent failure for flufl.bounce, and on a delay a temporary one',
    async () => {
      const delayed = {
        kind: 'delayed',
        recipients: [{ ...FAILED, action: 'delayed', status: '4.4.1', retryUntil: ARRIVED }],
      } as const
      expect(await readBy(DEBIAN_PYTHON, ['-c', flufl], {})).toBe("[] ['bob@example.net']\n")
      expect(await readBy(DEBIAN_PYTHON, ['-c', flufl], delayed)).toBe("['bob@example.net'] []\n")
    },
  )

  testWith([PERL_BOUNCES], 'is read by the parser for Perl', async () => {
    const program = `
      use Mail::DeliveryStatus::BounceParser;
      my $bounce = Mail::DeliveryStatus::BounceParser->new(do { local $/; <STDIN> });
      print join("|", $bounce->is_bounce, $bounce->orig_message_id, map { ($_->get("email"), $_->get("std_reason"), $_->get("reason")) } $bounce->reports), "\\n";
    `
    expect(await readBy('perl', ['-e', program], {})).toBe(
      '1|<first@sender.example>|bob@example.net|user_unknown|550 5.1.1 no such user\n',
    )
  })
})
