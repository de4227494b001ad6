/** What the relay asks of the server of `--relay`. */
import { expect, test } from 'vitest'
import type { Settings } from '../src/config/settings.ts'
import { routerOf } from '../src/serve/relay/router.ts'

test.each([
  ['smtp://relay.example', false, 'may'],
  ['smtp://relay.example', true, 'verified'],
  ['smtp+starttls://relay.example', true, 'verified'],
  ['smtps://relay.example', true, 'verified'],
  ['lmtp+unix:/run/lmtp', true, 'never'],
])('mail to %s with REQUIRETLS: %s needs the TLS %s', async (relay, requireTls, tls) => {
  const router = routerOf({ options: { relay } } as Settings, undefined)
  expect(await router.route('far.example', { requireTls })).toMatchObject({ hops: [{ tls }] })
})
