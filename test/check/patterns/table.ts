/**
 * The regular expressions that could be slow on a long text, and why none of them is. `findPatternBreaches` keeps this
 * list true: it has every pattern of the packages and the apps with an open repeat (`*`, `+`, `{n,}`) that is nested,
 * that may begin anywhere, or that is one of several; and nothing else.
 *
 * A text that a stranger writes is never met by a pattern that takes more than linear time: `patterns.test.ts` runs
 * each of those on its worst text, on every runtime. A person answers for the others: nobody but an operator writes
 * what they meet.
 */
import type { Risk } from './shape.ts'

export interface PatternEntry {
  readonly file: string
  /** As it is written in the file. */
  readonly pattern: string
  readonly risk: Risk
  /** The author of the text that the pattern reads. */
  readonly by: 'operator' | 'program' | 'stranger'
  /** The text that the pattern reads. */
  readonly text: string
  /** For text of strangers: the text for which the pattern takes longest, as a beginning, a repeated part, and an end. */
  readonly worst?: readonly [start: string, body: string, end: string]
}

export const PATTERNS: readonly PatternEntry[] = [
  // An operator writes these.
  {
    file: 'apps/server/src/config/file/json-mistake.ts',
    // oxlint-disable-next-line no-useless-escape
    pattern: String.raw`/[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y`,
    risk: 'several',
    by: 'operator',
    text: 'a config file in JSON',
  },
  {
    file: 'apps/server/src/config/file/mistake.ts',
    pattern: String.raw`/(file:\/\/[^\s:]+):(\d+)/`,
    risk: 'unanchored',
    by: 'program',
    text: "an error of the runtime's about a config file",
  },
  {
    file: 'apps/server/src/config/file/mistake.ts',
    pattern: String.raw`/ at file:\S+$/`,
    risk: 'unanchored',
    by: 'program',
    text: "an error of the runtime's about a config file",
  },
  {
    file: 'apps/server/src/config/file/mistake.ts',
    pattern: String.raw`/\u001b\[[\d;]*m/g`,
    risk: 'unanchored',
    by: 'program',
    text: "an error of the runtime's about a config file",
  },
  {
    file: 'packages/runtime/src/sockets/tls/channel-binding.ts',
    pattern: String.raw`/(?:sha-?|md)(\d+)/i`,
    risk: 'unanchored',
    by: 'program',
    text: "the algorithm of the server's certificate, as OpenSSL names it",
  },
  {
    file: 'apps/server/health.ts',
    pattern: String.raw`/(\S+)/`,
    risk: 'unanchored',
    by: 'operator',
    text: 'where the server listens',
  },
  {
    file: 'apps/server/src/config/urls/pipe-url.ts',
    pattern: String.raw`/^(localhost|127(\.\d+){3}|\[::1\])$/`,
    risk: 'nested',
    by: 'operator',
    text: 'the host behind a front',
  },
  {
    file: 'apps/server/src/config/options/process.ts',
    pattern: String.raw`/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i`,
    risk: 'nested',
    by: 'operator',
    text: "the system's host name",
  },
  {
    file: 'apps/server/src/config/values/quantity.ts',
    pattern: String.raw`/^(\d+(?:\.\d+)?)\s*([a-z]*)$/i`,
    risk: 'several',
    by: 'operator',
    text: 'a size or a time',
  },
  {
    file: 'apps/server/src/config/settings.ts',
    pattern: String.raw`/\s+/`,
    risk: 'unanchored',
    by: 'operator',
    text: 'a list in the environment',
  },
  {
    file: 'apps/server/src/config/settings.ts',
    pattern: String.raw`/\/\/[^\s/]*@/g`,
    risk: 'unanchored',
    by: 'operator',
    text: 'a value that is refused',
  },
  {
    file: 'apps/server/src/config/urls/store-url.ts',
    pattern: String.raw`/^(.+?)\?([a-z]+=.*)$/i`,
    risk: 'several',
    by: 'operator',
    text: 'the URL of a store',
  },
  {
    file: 'packages/storage/src/s3/location.ts',
    pattern: String.raw`/^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/`,
    risk: 'nested',
    by: 'operator',
    text: 'the prefix in a bucket',
  },
  {
    file: 'packages/storage/src/s3/location.ts',
    pattern: String.raw`/^(?:\[.*\]|[\d.]+)$/`,
    risk: 'several',
    by: 'operator',
    text: 'the host of an endpoint',
  },
  {
    file: 'packages/storage/src/s3/location.ts',
    pattern: String.raw`/^s3:\/\/([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/`,
    risk: 'several',
    by: 'operator',
    text: 'the URL of a bucket',
  },
  {
    file: 'apps/server/src/config/settings.ts',
    pattern: String.raw`/_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/`,
    risk: 'unanchored',
    by: 'operator',
    text: 'the name of an environment variable',
  },
  // The program or its runtime writes these.
  {
    file: 'apps/server/src/serve/descriptors.ts',
    pattern: String.raw`/^Max open files\s+(\d+)/m`,
    risk: 'unanchored',
    by: 'program',
    text: 'the limits that the kernel tells',
  },
  {
    file: 'packages/runtime/src/cloudflare/endpoint.ts',
    pattern: String.raw`/^(?:\[([0-9a-f:.%]+)\]|(\d+(?:\.\d+){3})):(\d{1,5})$/i`,
    risk: 'nested',
    by: 'program',
    text: 'an address, as workerd writes it',
  },
  {
    file: 'packages/runtime/src/common/endpoint.ts',
    pattern: String.raw`/%.*/`,
    risk: 'unanchored',
    by: 'program',
    text: 'an address, as the system writes it',
  },
  {
    file: 'packages/storage/src/blob/contract.ts',
    pattern: 'new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`)',
    risk: 'nested',
    by: 'program',
    text: 'a key',
  },
  {
    file: 'packages/storage/src/fs/packed/contents.ts',
    pattern: String.raw`/^([0-9a-z-]+) (\d+)$/`,
    risk: 'several',
    by: 'program',
    text: "a line of a pack's directory",
  },
  // Strangers write these.
  {
    file: 'packages/engine/src/sasl/bearer.ts',
    pattern: String.raw`/^Bearer +([A-Za-z0-9._~+/-]+=*)$/i`,
    risk: 'several',
    by: 'stranger',
    text: 'a response to AUTH',
    worst: ['Bearer ', 'a', ' '],
  },
  {
    file: 'packages/intake/src/directory/address.ts',
    pattern:
      "/^[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u{a0}-\\u{10ffff}]+(?:\\.[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u{a0}-\\u{10ffff}]+)*$/u",
    risk: 'nested',
    by: 'stranger',
    text: 'the name of a login',
    worst: ['a', '.a', '@'],
  },
  {
    file: 'packages/intake/src/directory/address.ts',
    pattern: String.raw`/^"(?:[^"\\\u0000-\u001f\u007f]|\\[\u0020-\u007e])+"$/`,
    risk: 'several',
    by: 'stranger',
    text: 'the name of a login',
    worst: ['"', '\\a', ''],
  },
  {
    file: 'packages/worker/src/email.ts',
    pattern: String.raw`/^(?:"(?:[^"\\]|\\.)*")?[^"]*[<> ]/u`,
    risk: 'several',
    by: 'stranger',
    text: 'an address of a message that was routed here',
    worst: ['"', '\\a', ''],
  },
  {
    file: 'apps/server/src/cli/export/mbox.ts',
    pattern: String.raw`/\n(?=>*From )/g`,
    risk: 'unanchored',
    by: 'stranger',
    text: 'a message',
    worst: ['\n', '>', ''],
  },
  {
    file: 'packages/engine/src/protocol/grammar/command.ts',
    pattern: String.raw`/^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |^\S+ \S+ HTTP\/\d/`,
    risk: 'several',
    by: 'stranger',
    text: 'a command line',
    worst: ['a ', 'a', ' HTTP/'],
  },
  {
    file: 'packages/engine/src/protocol/extensions/parameters.ts',
    pattern: String.raw`/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-Fa-f]{2})*$/`,
    risk: 'several',
    by: 'stranger',
    text: 'xtext',
    worst: ['', '+41', '+'],
  },
  {
    file: 'packages/engine/src/protocol/grammar/path.ts',
    pattern: String.raw`/^([A-Za-z0-9-]*[A-Za-z0-9]):([\x21-\x5a\x5e-\x7e]+)$/`,
    risk: 'several',
    by: 'stranger',
    text: 'an address literal',
    worst: ['', 'a', '-'],
  },
  {
    file: 'packages/engine/src/protocol/framing/proxy-header.ts',
    pattern: 'new RegExp(`^PROXY (TCP[46]) (\\\\S+) (\\\\S+) ${PORT} ${PORT}$`)',
    risk: 'several',
    by: 'stranger',
    text: 'a PROXY header',
    worst: ['PROXY TCP4 a ', 'a', ' 1'],
  },
  {
    file: 'packages/engine/src/protocol/server/verbs.ts',
    pattern: String.raw`/ +/g`,
    risk: 'unanchored',
    by: 'stranger',
    text: 'the argument of AUTH',
    worst: ['', ' ', 'a'],
  },
  {
    file: 'packages/engine/src/protocol/bytes/base64.ts',
    pattern: String.raw`/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/`,
    risk: 'several',
    by: 'stranger',
    text: 'a response of AUTH',
    worst: ['', 'aaaa', '!'],
  },
  {
    file: 'packages/storage/src/maildir/place.ts',
    pattern: String.raw`/^(?:[a-z0-9_+=]|%[0-9A-F]{2}|%-)(?:[a-z0-9._+=-]|%[0-9A-F]{2}|%-)*$/`,
    risk: 'several',
    by: 'stranger',
    text: "the name of a mailbox's directory",
    worst: ['', '%41', '%'],
  },
  {
    file: 'packages/storage/src/s3/client.ts',
    pattern: String.raw`/[^\x20-\x7e]+/g`,
    risk: 'unanchored',
    by: 'stranger',
    text: 'what an S3 server says of an error',
    worst: ['', '\n', ''],
  },
]
