/** The rows of TLS in docs/relay.md: what is required of a server, and what it shows. */
import { createHash, X509Certificate } from 'node:crypto'
import { selfSigned } from '@postern/runtime/tls'
import type { TlsaText } from '../route/zone.ts'
import { FIRST, type Row, SECOND } from './row.ts'

const OTHER = await selfSigned({ hosts: ['other.example'] })
const OWN = await selfSigned({ hosts: ['mx1.far.example'] })
const ENFORCE = 'version: STSv1\r\nmode: enforce\r\nmx: mx1.far.example\r\nmax_age: 86400\r\n'
const OWN2 = await selfSigned({ hosts: ['mx2.far.example'] })
const ENFORCE_ALL = ENFORCE.replace('mx1.', '*.')
const BOTH = OWN.cert + OWN2.cert
/** The extensions of a server with REQUIRETLS. */
const REQUIRE = ['PIPELINING', 'SIZE 50000000', '8BITMIME', 'REQUIRETLS']
const TLS = 'EHLO STARTTLS TLS'
const ALL = 'EHLO MAIL RCPT DATA .'

export const tls: readonly Row[] = [
  {
    name: 'Silence at STARTTLS, TLS is a wish',
    rule: '7435, 3207 4.1: the client decides',
    does: 'closes when the time is over, connects again, delivers in clear',
    far: { tls: OTHER, STARTTLS: 'hang' },
    timeouts: { startTlsMs: 50 },
    wire: ['EHLO STARTTLS', ALL],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['no-policy-found: 1 validation-failure'],
  },
  {
    name: 'The TLS handshake fails, TLS is a wish',
    rule: '7435, 3207 4.1: the client decides',
    does: 'connects again, delivers in clear',
    far: { tls: 'broken' },
    wire: ['EHLO STARTTLS', ALL],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['no-policy-found: 1 validation-failure'],
  },
  {
    name: 'The TLS handshake fails, `relayTls` is must',
    rule: '3207 4.1: the client decides',
    does: 'waits, nothing is said in clear',
    far: { tls: 'broken' },
    tls: 'must',
    wire: ['EHLO STARTTLS'],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['no-policy-found: 1 validation-failure'],
  },
  {
    name: '454 to STARTTLS, TLS is a wish',
    rule: '3207 4: the client decides',
    does: 'delivers in clear, on the same connection',
    far: { tls: OTHER, STARTTLS: '454 4.7.0 no TLS now' },
    wire: ['EHLO STARTTLS MAIL RCPT DATA .'],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['no-policy-found: 1 starttls-not-supported'],
  },
  {
    name: 'No STARTTLS, `relayTls` is must',
    rule: '3207 4: the client decides',
    does: 'waits',
    tls: 'must',
    wire: ['EHLO'],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['no-policy-found: 1 starttls-not-supported'],
  },
  {
    name: 'A certificate for another host, TLS is a wish',
    rule: '7435: better than none',
    does: 'delivers under TLS',
    far: { tls: OTHER },
    wire: [`EHLO STARTTLS TLS ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['no-policy-found: 1 good'],
  },
  {
    name: 'A certificate for another host, `relayTls` is verified',
    rule: '3207 4.1: the client decides',
    does: 'waits, nothing is said in clear',
    far: { tls: OTHER },
    tls: 'verified',
    ca: OTHER.cert,
    wire: ['EHLO STARTTLS'],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['no-policy-found: 1 certificate-host-mismatch'],
  },
  {
    name: 'A certificate for another host, MTA-STS enforces',
    rule: '8461 5: do not deliver; try again later',
    does: 'the same',
    far: { tls: OTHER },
    policy: ENFORCE,
    ca: OTHER.cert,
    wire: ['EHLO STARTTLS'],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['sts: 1 certificate-host-mismatch'],
  },
  {
    name: 'The right certificate, MTA-STS enforces',
    rule: '8461 4.1: deliver under TLS',
    does: 'delivers under TLS',
    far: { tls: OWN },
    policy: ENFORCE,
    ca: OWN.cert,
    wire: [`EHLO STARTTLS TLS ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['sts: 1 good'],
  },
  {
    name: 'A certificate that nobody trusts, the MTA-STS policy is in the mode testing',
    rule: '8461 5, 8460 4: deliver, and count the failure',
    does: 'delivers under TLS',
    far: { tls: OWN },
    policy: ENFORCE.replace('enforce', 'testing'),
    wire: [`${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['sts: 1 certificate-not-trusted'],
  },
  {
    name: 'An MX host that the MTA-STS policy does not list, in the mode testing',
    rule: '8461 5, 8460 4: deliver, and count the failure',
    does: 'delivers under TLS',
    far: { tls: OWN },
    policy: ENFORCE.replace('enforce', 'testing').replace('mx1.', 'mx2.'),
    ca: OWN.cert,
    wire: [`${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['sts: 1 validation-failure'],
  },
  {
    name: 'An MX host that the MTA-STS policy does not list',
    rule: '8461 4.1, 5: do not use it',
    does: 'uses only the listed host',
    far: { tls: OWN },
    second: {},
    zone: {
      'far.example': {
        MX: [
          [10, 'mx2.far.example'],
          [20, 'mx1.far.example'],
        ],
      },
      'mx1.far.example': { A: [FIRST] },
      'mx2.far.example': { A: [SECOND] },
    },
    policy: ENFORCE,
    ca: OWN.cert,
    wire: [`EHLO STARTTLS TLS ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['sts: 1 good', 'sts: 1 validation-failure'],
  },
]

/** A TLSA record for the key of a certificate (DANE-EE). */
function keyOf({ cert }: { readonly cert: string }): TlsaText {
  const key = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return [3, 1, 1, createHash('sha256').update(key).digest()]
}

export const dane: readonly Row[] = [
  {
    name: 'A certificate that no authority vouches for, and that the TLSA record names',
    rule: '7672 3.1.1: the record alone counts',
    does: 'delivers under TLS',
    far: { tls: OWN },
    tlsa: { 'mx1.far.example': [keyOf(OWN)] },
    wire: [`${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['tlsa: 1 good'],
  },
  {
    name: 'A certificate that the TLSA record does not name',
    rule: '7672 2.2: do not deliver; try again later',
    does: 'waits, nothing is said under TLS',
    far: { tls: OWN },
    tlsa: { 'mx1.far.example': [keyOf(OTHER)] },
    ca: OWN.cert,
    wire: [TLS],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['tlsa: 1 validation-failure'],
  },
  {
    name: 'A certificate that the TLSA record of the first host does not name',
    rule: '7672 2.2, 5321 5.1: try the next host',
    does: 'delivers to the second, which has no TLSA record',
    far: { tls: OTHER },
    second: {},
    tlsa: { 'mx1.far.example': [keyOf(OWN)] },
    wire: [TLS, ALL],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['tlsa: 1 validation-failure', 'no-policy-found: 1 starttls-not-supported'],
  },
  {
    name: 'No STARTTLS, and a TLSA record',
    rule: '7672 2.2: do not deliver in clear',
    does: 'waits',
    tlsa: { 'mx1.far.example': [keyOf(OWN)] },
    wire: ['EHLO'],
    becomes: { bob: 'waits 4.7.10' },
    tlsCounts: ['tlsa: 1 starttls-not-supported'],
  },
  {
    name: 'TLSA records that cannot be used',
    rule: '7672 2.2: TLS is required, with any certificate',
    does: 'delivers under TLS',
    far: { tls: OWN },
    tlsa: { 'mx1.far.example': [[0, 0, 1, new Uint8Array(32)]] },
    wire: [`${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
    tlsCounts: ['tlsa: 1 tlsa-invalid'],
  },
  {
    name: 'TLSA records that cannot be looked up',
    rule: '7672 2.1.2: as a host that does not answer',
    does: 'waits, without a connection',
    tlsa: { 'mx1.far.example': 'failed' },
    wire: [],
    becomes: { bob: 'waits 451 4.7.0' },
    tlsCounts: ['tlsa: 1 dnssec-invalid'],
  },
]

const LACKS = 'the server does not offer REQUIRETLS'
const NOBODY = 'x-postern; REQUIRETLS: no server may have the message:'

export const requireTls: readonly Row[] = [
  {
    name: 'REQUIRETLS, and a host of an MTA-STS policy that offers it',
    rule: '8689 4.2.1: send it with REQUIRETLS',
    does: 'delivers with REQUIRETLS',
    requireTls: true,
    far: { tls: OWN, extensions: REQUIRE },
    policy: ENFORCE,
    ca: OWN.cert,
    wire: [`${TLS} ${ALL}`],
    lines: ['MAIL FROM:<ann@near.example> SIZE=53 BODY=7BIT REQUIRETLS'],
    becomes: { bob: 'delivered 250 2.0.0' },
  },
  {
    name: 'REQUIRETLS, and a host that only DANE vouches for',
    rule: '8689 4.2.1: the certificate is checked by 7672',
    does: 'delivers with REQUIRETLS',
    requireTls: true,
    far: { tls: OWN, extensions: REQUIRE },
    tlsa: { 'mx1.far.example': [keyOf(OWN)] },
    wire: [`${TLS} ${ALL}`],
    lines: ['MAIL FROM:<ann@near.example> SIZE=53 BODY=7BIT REQUIRETLS'],
    becomes: { bob: 'delivered 250 2.0.0' },
  },
  {
    name: 'REQUIRETLS, and neither DNSSEC nor MTA-STS says which hosts are right',
    rule: '8689 4.2.1: do not send it, report',
    does: 'reports 5.7.30, without a connection',
    requireTls: true,
    far: { tls: OWN, extensions: REQUIRE },
    ca: OWN.cert,
    wire: [],
    becomes: { bob: 'failed 550 5.7.30' },
    tlsCounts: [],
    report: {
      bob: [
        '5.7.30',
        'x-postern; 550 5.7.30 REQUIRETLS: neither DNSSEC nor MTA-STS says which servers take mail for far.example',
      ],
    },
  },
  {
    name: 'REQUIRETLS, and only the second host offers it',
    rule: '8689 4.2.1: try each host',
    does: 'delivers to the second',
    requireTls: true,
    far: { tls: OWN },
    second: { tls: OWN2, extensions: REQUIRE },
    policy: ENFORCE_ALL,
    ca: BOTH,
    wire: [`${TLS} EHLO`, `${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
  },
  {
    name: 'REQUIRETLS, and the TLSA record of the first host does not name its certificate',
    rule: '8689 4.2.1: try each host',
    does: 'delivers to the second',
    requireTls: true,
    far: { tls: OTHER, extensions: REQUIRE },
    second: { tls: OWN2, extensions: REQUIRE },
    tlsa: { 'mx1.far.example': [keyOf(OWN)], 'mx2.far.example': [keyOf(OWN2)] },
    wire: [TLS, `${TLS} ${ALL}`],
    becomes: { bob: 'delivered 250 2.0.0' },
  },
  {
    name: 'REQUIRETLS, and no host offers it',
    rule: '8689 4.2.1: report 5.7.30',
    does: 'tries each host, reports 5.7.30',
    requireTls: true,
    far: { tls: OWN },
    second: { tls: OWN2 },
    policy: ENFORCE_ALL,
    ca: BOTH,
    wire: [`${TLS} EHLO`, `${TLS} EHLO`],
    becomes: { bob: 'failed 5.7.30' },
    tlsCounts: ['sts: 2 good'],
    report: { bob: ['5.7.30', `${NOBODY} mx1.far.example: ${LACKS}; mx2.far.example: ${LACKS}`] },
  },
  {
    name: 'REQUIRETLS, and no host has TLS',
    rule: '8689 4.2.1: report 5.7.10',
    does: 'tries each host, reports 5.7.10',
    requireTls: true,
    far: { extensions: REQUIRE },
    second: { extensions: REQUIRE },
    policy: ENFORCE_ALL,
    wire: ['EHLO', 'EHLO'],
    becomes: { bob: 'failed 5.7.10' },
    report: {
      bob: [
        '5.7.10',
        `${NOBODY} mx1.far.example: the server does not offer STARTTLS; mx2.far.example: the server does not offer STARTTLS`,
      ],
    },
  },
  {
    name: 'REQUIRETLS, and a certificate for another host',
    rule: '8689 4.2.1: report 5.7.10',
    does: 'reports 5.7.10',
    requireTls: true,
    far: { tls: OTHER, extensions: REQUIRE },
    tlsa: { 'mx1.far.example': [keyOf(OWN)] },
    wire: [TLS],
    becomes: { bob: 'failed 5.7.10' },
    report: {
      bob: [
        '5.7.10',
        `${NOBODY} mx1.far.example: the server was not accepted: no TLSA record is for a certificate of the server`,
      ],
    },
  },
  {
    name: 'REQUIRETLS, the first host does not offer it, and the second is dead',
    rule: '8689 4.2.1, 5321 4.5.4.1: the second may take it later',
    does: 'waits',
    requireTls: true,
    far: { tls: OWN },
    zone: {
      'far.example': {
        MX: [
          [10, 'mx1.far.example'],
          [20, 'mx2.far.example'],
        ],
      },
      'mx1.far.example': { A: [FIRST] },
      'mx2.far.example': { AAAA: ['::1'] },
    },
    policy: ENFORCE_ALL,
    ca: BOTH,
    wire: [`${TLS} EHLO`],
    becomes: { bob: 'waits 4.4.2' },
  },
  {
    name: 'REQUIRETLS, the first host does not offer it, and the second cannot be looked up',
    rule: '8689 4.2.1, 5321 4.5.4.1: the second may take it later',
    does: 'waits',
    requireTls: true,
    far: { tls: OWN },
    zone: {
      'far.example': {
        MX: [
          [10, 'mx1.far.example'],
          [20, 'mx2.far.example'],
        ],
      },
      'mx1.far.example': { A: [FIRST] },
      'mx2.far.example': 'failed',
    },
    policy: ENFORCE_ALL,
    ca: BOTH,
    wire: [`${TLS} EHLO`],
    becomes: { bob: 'waits 4.7.10' },
  },
  {
    name: 'REQUIRETLS, and 454 to STARTTLS',
    rule: '3207 4: no TLS for now',
    does: 'waits, nothing is said in clear',
    requireTls: true,
    far: { tls: OWN, extensions: REQUIRE, STARTTLS: '454 4.7.0 no TLS now' },
    policy: ENFORCE,
    ca: OWN.cert,
    wire: ['EHLO STARTTLS'],
    becomes: { bob: 'waits 4.7.0' },
  },
]
