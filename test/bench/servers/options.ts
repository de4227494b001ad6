/** What servers are told by their command line, and what they say: one line of JSON when they listen. */
import { parseArgs } from 'node:util'

export interface ServerOptions {
  /** What is done with messages. */
  readonly store: string
  /** Where a store on disk is. */
  readonly directory: string | undefined
  /** With these, STARTTLS is on offer. */
  readonly keyFile: string | undefined
  readonly certFile: string | undefined
  /** It tells how much memory it asked for, when it gets SIGUSR2. */
  readonly allocation: boolean
}

export function readServerOptions(): ServerOptions {
  const { values } = parseArgs({
    options: {
      store: { type: 'string', default: 'discard' },
      directory: { type: 'string' },
      'key-file': { type: 'string' },
      'cert-file': { type: 'string' },
      allocation: { type: 'boolean', default: false },
    },
  })
  return {
    store: values.store,
    directory: values.directory,
    keyFile: values['key-file'],
    certFile: values['cert-file'],
    allocation: values.allocation,
  }
}

/** Tells whoever started this server where it listens, or what it counted. */
export function announce(facts: Readonly<Record<string, number | undefined>>): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`)
}
