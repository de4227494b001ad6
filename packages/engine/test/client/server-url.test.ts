import { parseServerUrl, type ServerAddress } from '@postern/engine/client'
import { expect, test } from 'vitest'

test.each<[string, Partial<ServerAddress>]>([
  [
    'smtp://mx.example.com',
    { protocol: 'smtp', host: 'mx.example.com', port: 25, implicitTls: false, startTls: 'if-offered' },
  ],
  ['smtps://mx.example.com', { protocol: 'smtp', port: 465, implicitTls: true, startTls: 'never' }],
  ['smtp+starttls://mx.example.com', { protocol: 'smtp', port: 587, implicitTls: false, startTls: 'required' }],
  ['lmtp://mx.example.com', { protocol: 'lmtp', port: 24, startTls: 'if-offered' }],
  [
    'lmtp+unix:/run/dovecot/lmtp',
    { protocol: 'lmtp', host: '', port: 0, path: '/run/dovecot/lmtp', startTls: 'never' },
  ],
  ['lmtp+unix:///run/a%20b', { path: '/run/a b' }],
  ['SMTP://MX.Example.COM:2525/', { host: 'mx.example.com', port: 2_525, path: undefined }],
  ['smtp://b\u00fccher.example', { host: 'xn--bcher-kva.example' }],
  ['smtp://192.0.2.1:26', { host: '192.0.2.1', port: 26 }],
  ['smtp://[2001:DB8::1]', { host: '2001:db8::1', port: 25 }],
  ['smtp://[2001:db8::1]:26', { host: '2001:db8::1', port: 26 }],
  ['smtp://alice@mx.example.com', { credentials: { username: 'alice' } }],
  ['smtp://alice:@mx.example.com', { credentials: { username: 'alice', password: '' } }],
  [
    'smtps://alice%40example.com:p%3a%2F%25@mx.example.com',
    { credentials: { username: 'alice@example.com', password: 'p:/%' } },
  ],
  ['smtps://a:b@c@mx.example.com', { host: 'mx.example.com', credentials: { username: 'a', password: 'b@c' } }],
])('%s is read', (url, address) => {
  expect(parseServerUrl(url)).toMatchObject(address)
})

test.each([
  ['', 'it does not begin with one of smtp:, smtps:, smtp+starttls:, lmtp:, lmtp+unix:'],
  ['mx.example.com', 'it does not begin with'],
  ['http://mx.example.com', 'it does not begin with'],
  ['constructor://mx.example.com', 'it does not begin with'],
  ['smtp:mx.example.com', '// is missing behind smtp:'],
  ['smtp://', 'host "" is not a domain'],
  ['smtp://:25', 'host "" is not a domain'],
  ['smtp://mx_.example..com', 'host "mx_.example..com" is not a domain'],
  ['smtp://a b', 'host "a b" is not a domain'],
  ['smtp://[::1', 'host "[::1" is not a domain'],
  ['smtp://[1.2.3.4]', 'host "[1.2.3.4]" is not'],
  ['smtp://[::1]x:25', 'host "[::1]x" is not'],
  ['smtp://::1', 'port is not a number'],
  ['smtp://mx.example.com:0', 'port "0" is not a number from 1 to 65535'],
  ['smtp://mx.example.com:65536', 'port "65536"'],
  ['smtp://mx.example.com:', 'port ""'],
  ['smtp://mx.example.com:25x', 'port is not a number'],
  ['smtp://mx.example.com/path', 'nothing may stand behind host and port'],
  ['smtp://mx.example.com?x=1', 'nothing may stand behind host and port'],
  ['smtp://alice:secret', 'port is not a number from 1 to 65535'],
  ['smtp://alice:top/secret@mx.example.com', 'nothing may stand behind host and port'],
  ['smtp://@mx.example.com', 'the user name is empty'],
  ['smtp://:secret@mx.example.com', 'the user name is empty'],
  ['smtp://a%zz@mx.example.com', 'the user name has a %'],
  ['smtp://a:secret%ff@mx.example.com', 'the password has a %'],
  ['lmtp+unix:relative', 'path "relative" is not the absolute path'],
  ['lmtp+unix://host/path', 'path "//host/path"'],
  ['lmtp+unix:/a%00b', 'is not the absolute path'],
])('%j is refused, in one line without the password', (url, message) => {
  const attempt = (): unknown => parseServerUrl(url)
  expect(attempt).toThrow(TypeError)
  expect(attempt).toThrow(message)
  expect(attempt).not.toThrow(/secret|\n/)
})
