/** A message with encoded words, a charset and attachments is read by people: in the list, and by `postern show`. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { contentsOf } from '../src/cli/reading/contents.ts'

const MESSAGE = [
  'From: =?utf-8?Q?J=C3=B6rg?= <joerg@a.example>',
  'Subject: =?iso-8859-1?Q?Gr=FC=DFe?= aus =?utf-8?B?S8O2bG4=?=',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: multipart/alternative; boundary=c',
  '',
  '--c',
  'Content-Type: text/html',
  '',
  '<p>in HTML</p>',
  '--c',
  'Content-Type: text/plain; charset=iso-8859-15',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Das kostet 5 =A4.',
  '--c--',
  '--b',
  "Content-Disposition: attachment; filename*=utf-8''Rechnung%20%E2%82%AC.pdf",
  'Content-Type: application/pdf',
  'Content-Transfer-Encoding: base64',
  '',
  'JVBERi0=',
  '--b--',
].join('\r\n')

test('the list has the subject, show the decoded header, text and attachments, and --json the summary', async () => {
  const running = await serve([])
  const client = await SocketClient.ready(running.ports[0] ?? 0)
  for (const line of ['MAIL FROM:<joerg@a.example>', 'RCPT TO:<b@example.com>', 'DATA']) await client.command(line)
  const id = /queued as (\S+)/.exec((await client.command(`${MESSAGE}\r\n.`)).text)?.[1] ?? ''
  client.end()
  const { cwd } = running
  expect((await postern(['list'], { cwd })).stdout).toMatch(/ {2}Grüße aus Köln\n/)
  const { stdout } = await postern(['show', id], { cwd })
  expect(stdout).toContain('From: Jörg <joerg@a.example>\n')
  expect(stdout).toContain('\n\nDas kostet 5 €.\n')
  expect(stdout).not.toContain('in HTML')
  expect(stdout).toMatch(/\n2 +Rechnung €\.pdf +application\/pdf +5 B\n/)
  expect(stdout).toContain(`show --raw ${id}`)
  const { summary } = JSON.parse((await postern(['show', id, '--json'], { cwd })).stdout) as { summary: object }
  expect(summary).toMatchObject({ subject: 'Grüße aus Köln', snippet: 'Das kostet 5 €.', attachmentCount: 1 })
})

test('without a summary, the list has no subject', async () => {
  const running = await serve(['--summary', 'off'])
  const client = await SocketClient.ready(running.ports[0] ?? 0)
  for (const line of ['MAIL FROM:<joerg@a.example>', 'RCPT TO:<b@example.com>', 'DATA']) await client.command(line)
  await client.command(`${MESSAGE}\r\n.`)
  client.end()
  const { stdout } = await postern(['list', '--json', '--store', `fs:${join(running.cwd, 'mail')}`], {
    cwd: running.cwd,
  })
  expect(JSON.parse(stdout).records).toHaveLength(1)
  expect(stdout).not.toContain('summary')
})

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}

test.each([
  ['only HTML', 'Content-Type: text/html\r\n\r\n<p>One<br>two</p>\r\n<p>three &lt;</p>', 'One two\nthree <', false],
  ['no header', '\r\njust text', 'just text', false],
  ['no text', 'Content-Type: image/png\r\n\r\nx', '', false],
  ['many lines', `Subject: x\r\n\r\n${'line\r\n'.repeat(60)}`, `${'line\n'.repeat(39)}line`, true],
  ['a long line', `Subject: x\r\n\r\n${'x'.repeat(70_000)}`, 'x'.repeat(65_536), true],
])('a message with %s is shown', async (_, message, text, isCut) => {
  const contents = await contentsOf(pieces(message))
  expect(contents.isCut).toBe(isCut)
  expect(contents.text.split('\n\n').slice(1).join('\n\n').trim()).toBe(text)
})
