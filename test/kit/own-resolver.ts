/** Programs that ask only the DNS server of /etc/resolv.conf, at port 53: they get a file of their own there, with a server of the test. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Answer } from 'dns-packet'
import { temporaryDirectory } from './directory.ts'
import { type DnsServer, type Scene, startDnsServer } from './dns-server.ts'
import { runTool, type ToolOptions, type ToolResult } from './tool.ts'

const NXDOMAIN = 3
const TXT_OCTETS = 255

/** Runs programs beside a DNS server. Needs NAMESPACES of abilities.ts. */
export class OwnResolver implements AsyncDisposable {
  /** The server's address. */
  readonly host: string
  readonly #server: DnsServer
  readonly #file: string

  constructor(host: string, server: DnsServer, file: string) {
    this.host = host
    this.#server = server
    this.#file = file
  }

  /** @param records TXT records by their name; a list has several records */
  static async start(records: Readonly<Record<string, string | readonly string[]>>): Promise<OwnResolver> {
    // Another test may have a server at the same time.
    const host = `127.${[1, 2, 3].map(() => 1 + Math.floor(Math.random() * 254)).join('.')}`
    const server = await startDnsServer(({ key, name, type }) => txtScene(records, key, name, type), { host, port: 53 })
    const file = join(temporaryDirectory(), 'resolv.conf')
    writeFileSync(file, `nameserver ${host}\n`)
    return new OwnResolver(host, server, file)
  }

  /** Runs a program to its end. */
  run(program: string, args: readonly string[], options?: ToolOptions): Promise<ToolResult> {
    const script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    return runTool('unshare', ['-m', 'sh', '-c', script, 'sh', this.#file, program, ...args], options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#server[Symbol.asyncDispose]())
  }
}

/** Returns the answer to a query for TXT records. */
export function txtScene(
  records: Readonly<Record<string, string | readonly string[]>>,
  key: string,
  name: string,
  type: string,
): Scene {
  const texts = records[key]
  if (texts === undefined) return { rcode: NXDOMAIN }
  const answers = [texts].flat().map((text): Answer => ({ type: 'TXT', name, ttl: 60, data: stringsOf(text) }))
  return type === 'TXT' ? { answers } : {}
}

/** Returns the strings of a record (RFC 1035 3.3: each has at most 255 octets). */
function stringsOf(text: string): string[] {
  const strings: string[] = []
  for (let at = 0; at === 0 || at < text.length; at += TXT_OCTETS) strings.push(text.slice(at, at + TXT_OCTETS))
  return strings
}
