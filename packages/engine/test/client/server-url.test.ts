import { expect, test } from 'vitest'
import { parseServerUrl, type ServerAddress } from '../../src/client/server-url.ts'

const SMTP: ServerAddress = {
  protocol: 'smtp',
  host: 'mx.example',
  port: 25,
  path: undefined,
  implicitTls: false,
  startTls: 'if-offered',
}

test.each<[string, ServerAddress]>([
  ['smtp://mx.example', SMTP],
  ['SMTP://MX.example./', SMTP],
  ['smtp://mx.example:2525', { ...SMTP, port: 2525 }],
  ['smtps://mx.example', { ...SMTP, port: 465, implicitTls: true, startTls: 'never' }],
  ['smtp+starttls://mx.example', { ...SMTP, port: 587, startTls: 'required' }],
  ['lmtp://mx.example', { ...SMTP, protocol: 'lmtp', port: 24 }],
  ['smtp://127.0.0.1', { ...SMTP, host: '127.0.0.1' }],
  ['smtp://[::1]:26', { ...SMTP, host: '::1', port: 26 }],
  ['smtp://bücher.example', { ...SMTP, host: 'xn--bcher-kva.example' }],
  [
    'smtps://ann%40a.example:p%3A%20%C3%A9@mx.example',
    {
      ...SMTP,
      port: 465,
      implicitTls: true,
      startTls: 'never',
      credentials: { username: 'ann@a.example', password: 'p: é' },
    },
  ],
  ['smtp://ann@mx.example', { ...SMTP, credentials: { username: 'ann' } }],
  ...['lmtp+unix:/run/lmtp', 'lmtp+unix:///run/lmtp'].map((url): [string, ServerAddress] => [
    url,
    { protocol: 'lmtp', host: '', port: 0, path: '/run/lmtp', implicitTls: false, startTls: 'never' },
  ]),
])('%s is a server', (url, address) => {
  expect(parseServerUrl(url)).toEqual(address)
})

test.each<[string, string]>([
  ['', 'does not begin with'],
  ['mx.example:25', 'does not begin with'],
  ['http://mx.example', 'does not begin with'],
  ['smtp://', 'host ""'],
  ['smtp:mx.example', '// is missing'],
  ['smtp://mx.example:99999', 'port "99999"'],
  ['smtp://mx.example:0', 'port "0"'],
  ['smtp://mx.example:', 'port ""'],
  ['smtp://a b.example', 'host "a b.example"'],
  ['smtp://[::1', 'server URL: '],
  ['smtp://[::x]', 'host "[::x]"'],
  ['smtp://mx.example/inbox', 'nothing may stand behind host and port'],
  ['smtp://mx.example?tls=no', 'nothing may stand behind host and port'],
  ['smtp://ann:se/cret@mx.example', 'in a password as %2F'],
  ['smtp://:secret@mx.example', 'the user name is empty'],
  ['smtp://ann:%ff@mx.example', 'the password has a %'],
  ['lmtp+unix:run/lmtp', 'is not the absolute path'],
  ['lmtp+unix://host/run/lmtp', 'is not the absolute path'],
  ['lmtp+unix:', 'is not the absolute path'],
])('%s is refused with one line that names the wrong part, and never the password', (url, problem) => {
  const refused = (): unknown => parseServerUrl(url)
  expect(refused).toThrow(TypeError)
  expect(refused).toThrow(problem)
  expect(refused).not.toThrow(/secret|cret@|\n/)
})
