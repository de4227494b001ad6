/** Messages that others have signed, and the records of their keys. */
import { generateKeyPairSync } from 'node:crypto'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'

export const NOW_MS: number = Date.UTC(2026, 11, 1)

export interface TestKey {
  readonly pem: string
  readonly record: string
  readonly type: 'rsa' | 'ed25519'
}

function makeKey(type: 'rsa' | 'ed25519', bits = 2048): TestKey {
  const pair = type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519')
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' })
  const text = (type === 'rsa' ? spki : spki.subarray(12)).toString('base64')
  const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { pem, type, record: `v=DKIM1; k=${type}; p=${text}` }
}

export const KEYS: Readonly<Record<'r' | 'e' | 'weak', TestKey>> = {
  r: makeKey('rsa'),
  e: makeKey('ed25519'),
  weak: makeKey('rsa', 512),
}

export interface SignOptions {
  readonly domain?: string
  readonly selector?: keyof typeof KEYS
  readonly form?: string
  readonly bodyOctets?: number
  readonly expires?: Date
}

/** Returns a message with a signature of `mailauth` on top. */
export async function signed(
  message: string,
  { domain = 'sender.example', selector = 'e', form = 'relaxed/relaxed', bodyOctets, expires }: SignOptions = {},
): Promise<string> {
  const { pem, type } = KEYS[selector]
  const { signatures } = await dkimSign(Buffer.from(message, 'latin1'), {
    algorithm: `${type}-sha256`,
    canonicalization: form,
    signTime: new Date(NOW_MS - 3_600_000),
    ...(expires !== undefined && { expires }),
    signatureData: [
      {
        signingDomain: domain,
        selector,
        privateKey: pem,
        ...(bodyOctets !== undefined && { maxBodyLength: bodyOctets }),
      },
    ],
  } as unknown as Parameters<typeof dkimSign>[1])
  return signatures + message
}

/** The records of the keys of these domains. */
export function recordsOf(...domains: readonly string[]): Record<string, string> {
  const all = domains.flatMap((domain) =>
    Object.entries(KEYS).map(([selector, { record }]) => [`${selector}._domainkey.${domain}`, record] as const),
  )
  return Object.fromEntries(all)
}

const HEADER = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

/** RFC 8463 A.3: signed by both algorithms. */
export const RFC8463: string = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
${HEADER}`.replaceAll('\n', '\r\n')

/** RFC 8463 A.2. */
export const RFC8463_RECORDS: Readonly<Record<`${'brisbane' | 'test'}._domainkey.football.example.com`, string>> = {
  'brisbane._domainkey.football.example.com': 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
  'test._domainkey.football.example.com':
    'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
}
