/** Settings that are mistakes, each with a part of the error. */
export const WRONG_SETTINGS: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
  [{ POSTERN_DOMAINS: 'exa mple' }, 'POSTERN_DOMAINS'],
  [{ POSTERN_HOSTNAME: 'ex ample' }, 'POSTERN_HOSTNAME: "ex ample" is not a domain or an address literal'],
  [{ POSTERN_MAX_MESSAGE_BYTES: '25MiB' }, 'POSTERN_MAX_MESSAGE_BYTES: "25MiB" is not a number'],
  [{ POSTERN_KEEP_BYTES: '10' }, 'POSTERN_KEEP_BYTES: "10" is not a whole number from 1048576, or Infinity'],
  [{ POSTERN_KEEP_AGE_MS: '30d' }, 'POSTERN_KEEP_AGE_MS: "30d" is not a whole number from 60000, or Infinity'],
  [{ POSTERN_REVERSE_DNS: 'maybe' }, 'POSTERN_REVERSE_DNS: "maybe" is not true or false'],
  [{ POSTERN_REVERSE_DNS: 'true' }, 'POSTERN_RESOLVER: undefined is not a DNS server, which POSTERN_REVERSE_DNS needs'],
  [{ POSTERN_RESOLVER: 'udp://192.0.2.1' }, 'POSTERN_RESOLVER: "udp://192.0.2.1" is not the URL of a DNS server'],
  [
    { POSTERN_RESOLVER: 'http://dns.example/' },
    'POSTERN_RESOLVER: "http://dns.example/" is not the URL of a DNS server',
  ],
  [{ POSTERN_REVERSE_DNS_TIMEOUT_MS: '5s' }, 'POSTERN_REVERSE_DNS_TIMEOUT_MS: "5s" is not a whole number from 1'],
  [{ POSTERN_TLS_REQUIRED: 'sometimes' }, 'POSTERN_TLS_REQUIRED: "sometimes" is not true or false'],
  [{ POSTERN_PROXY_FROM: 'binding,10.0.0.1/8' }, 'POSTERN_PROXY_FROM: "10.0.0.1/8" is not an IP address, or a range'],
  [{ POSTERN_ACCOUNTS: '{' }, 'POSTERN_ACCOUNTS: "(not shown)" is not JSON'],
  [{ POSTERN_ACCOUNTS: '{"acounts":[]}' }, 'POSTERN_ACCOUNTS: acounts: there is no such field'],
  [
    {
      POSTERN_ACCOUNTS: JSON.stringify({
        domains: ['a.example'],
        accounts: [{ address: 'a@a.example', password: `$2b$04$${'a'.repeat(53)}` }],
      }),
    },
    'POSTERN_ACCOUNTS: the password record of a@a.example is not SCRAM-SHA-256, which a Worker needs',
  ],
  [{ POSTERN_FRONT_SECRET: 'short' }, 'POSTERN_FRONT_SECRET: "(secret)" is not at least 32'],
  [{ POSTERN_FRNT_SECRET: 'a-secret-whose-name-is-misspelt' }, 'POSTERN_FRNT_SECRET: "(set)" is not a setting'],
]
