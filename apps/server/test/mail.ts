/** Mail for the tests: messages that are difficult to show and to export, and a store that has them. */
import { type MailPage, mailStore, type MailRecord } from '@postern/storage'
import { fs } from '@postern/storage/fs'

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export interface Sample {
  readonly from?: string
  readonly to?: readonly string[]
  readonly bytes: Uint8Array | string
}

const TRACE =
  'Received: from client.example ([192.0.2.1])\r\n by mx.example with ESMTP id X;\r\n Fri, 21 Nov 2025 10:00:00 +0000\r\n'

export type SampleName =
  | 'plain'
  | 'fromLines'
  | 'binary'
  | 'eightBit'
  | 'utf8'
  | 'noHeader'
  | 'headerOnly'
  | 'empty'
  | 'hostile'
  | 'bounce'

/** The bytes of each message below the trace header. */
export const SAMPLES: Readonly<Record<SampleName, Sample>> = {
  plain: { bytes: 'Subject: Plain\r\nFrom: a@example.com\r\n\r\nHello.\r\n' },
  fromLines: {
    bytes:
      'Subject: From lines\r\n\r\nFrom here on\r\n>From there\r\n>>From afar\r\nFromage\r\n From\r\nlast\r\nFrom the end',
  },
  binary: { bytes: Uint8Array.from([...Buffer.from('Subject: Binary\r\n\r\n'), 0, 1, 2, 255, 254, 13, 65, 10, 0, 13]) },
  eightBit: { bytes: Buffer.from('Subject: Grüße\r\n\r\näöü\r\n', 'latin1') },
  utf8: { bytes: 'Subject: Grüße 🐦\r\n\r\nπ\r\n' },
  noHeader: { bytes: '\r\nOnly text.\r\n' },
  headerOnly: { bytes: 'Subject: Header only\r\n' },
  empty: { bytes: '' },
  hostile: {
    from: '"\\\u0007\u009ba"@example.com',
    bytes: 'Subject: \x1b[2J\x1b]0;owned\x07\r\nX: \u202etxt.exe \x9b31m\r\n\r\n\x1b[31mred\x1b[0m\ttab\r\n',
  },
  bounce: {
    from: '',
    to: ['one@example.com', 'two@example.com', 'three@example.com'],
    bytes: 'Subject: Report\r\n\r\nx\r\n',
  },
}

/** A ULID of its own for the nth message, one second after the one before. */
export function sampleId(n: number): string {
  let time = Date.UTC(2025, 10, 21, 10, 0, n)
  let id = ''
  for (let i = 0; i < 10; i++) {
    id = CROCKFORD[time % 32] + id
    time = Math.floor(time / 32)
  }
  return `${id}${String(n).padStart(16, '0')}`
}

/** Returns the stored bytes of a sample: trace header, then the sent bytes. */
export function storedBytes(sample: Sample): Buffer {
  return Buffer.concat([Buffer.from(TRACE), Buffer.from(sample.bytes)])
}

/** Fills a store in `directory`; the records come in the order of the samples. */
export async function fill(directory: string, samples: readonly Sample[]): Promise<MailRecord[]> {
  const store = mailStore(fs(directory))
  const records: MailRecord[] = []
  for (const [n, { bytes, from = 'a@example.com', to = ['b@example.com'] }] of samples.entries()) {
    const chunks = [new Uint8Array(Buffer.from(bytes))].filter((chunk) => chunk.length > 0)
    const message = {
      id: sampleId(n),
      receivedAt: new Date(Date.UTC(2025, 10, 21, 10, 0, n)),
      trace: new TextEncoder().encode(TRACE),
      envelope: {
        reversePath: path(from),
        forwardPaths: to.map(path),
        body: '8BITMIME' as const,
        smtpUtf8: false,
      },
      read: () => chunks.shift() ?? null,
    }
    records.push(await store.save(message, SESSION))
  }
  return records
}

/** Reads the page that `postern list --json` prints of a directory, without starting it. */
export function listed(directory: string): Promise<MailPage> {
  return mailStore(fs(directory)).list()
}

function path(address: string): {
  address: string
  localPart: string
  domain: string
  parameters: Map<string, string>
} {
  const at = address.lastIndexOf('@')
  return { address, localPart: address.slice(0, at), domain: address.slice(at + 1), parameters: new Map() }
}

const SESSION = {
  id: sampleId(999),
  remote: { family: 'ipv4', address: '192.0.2.1', port: 1234 },
  local: { family: 'ipv4', address: '192.0.2.2', port: 25 },
  tls: undefined,
  hello: { verb: 'EHLO', name: 'client.example' },
  transmissionType: 'ESMTP',
  user: undefined,
} as const
