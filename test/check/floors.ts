/**
 * The floors of the packages, from the ground up: the parts of each package, and what each part may import.
 * A file imports from its own part, and from parts on lower floors of its package. Parts on the same floor do not
 * import each other. docs/architecture.md explains the floors. test/check/imports.ts checks every import against this
 * list.
 */

/** Folders or files of a package that belong together. */
export interface Part {
  /** Relative to the package's root. '' is the root itself. A file belongs to the part with the longest path that fits. */
  readonly paths: readonly string[]
  /** Modules from outside the workspace: prefixes of a runtime's own ('node:'), and packages by name. Default: none. */
  readonly modules?: readonly string[]
  /** Packages of the workspace, imported through their exports. Default: those of its package. */
  readonly packages?: readonly string[]
  /** Paths of the parts on lower floors that it may import from. Default: all of them. */
  readonly below?: readonly string[]
  /** The part has no clock and no random numbers of its own; its callers pass them. Default: false. */
  readonly isPure?: boolean
}

export interface Package {
  readonly root: string
  readonly packages: readonly string[]
  readonly floors: readonly (readonly Part[])[]
}

const NODE = ['node:']
/** The parts that a runtime with sockets may use. */
const SOCKETS = ['sockets', 'sockets/tls', 'common']
/** The parts that every other part of the protocol may use. */
const PROTOCOL = ['copies.ts', 'protocol', 'protocol/bytes', 'protocol/grammar']
/** The parts that the relay's own files use. */
const RELAY = ['queue', 'schedule.ts', 'report', 'pieces.ts', 'spool.ts', 'delivery', 'options.ts']
const ALL = [
  '@postern/engine',
  '@postern/mail',
  '@postern/runtime',
  '@postern/storage',
  '@postern/intake',
  '@postern/worker',
]

export const PACKAGES: readonly Package[] = [
  {
    root: 'packages/engine/src',
    packages: [],
    floors: [
      [{ paths: ['copies.ts'], isPure: true }],
      [{ paths: ['duplex.ts', 'promise.ts'] }],
      [
        { paths: ['protocol'], isPure: true, below: ['copies.ts'] },
        { paths: ['protocol/bytes'], isPure: true, below: [] },
      ],
      [{ paths: ['protocol/grammar'], isPure: true, below: ['copies.ts', 'protocol', 'protocol/bytes'] }],
      [
        { paths: ['protocol/framing'], isPure: true, below: PROTOCOL },
        { paths: ['protocol/extensions'], isPure: true, below: PROTOCOL },
      ],
      [
        { paths: ['protocol/server'], isPure: true, below: [...PROTOCOL, 'protocol/framing', 'protocol/extensions'] },
        { paths: ['protocol/client'], isPure: true, below: [...PROTOCOL, 'protocol/framing'] },
      ],
      // It makes nonces, so it is not pure.
      [{ paths: ['sasl'], below: ['duplex.ts', 'promise.ts', 'protocol/bytes', 'protocol/grammar'] }],
      [
        {
          paths: ['sasl/client'],
          below: ['copies.ts', 'duplex.ts', 'promise.ts', 'protocol/bytes', 'sasl'],
        },
      ],
      [{ paths: ['server/session'] }, { paths: ['server/places'] }],
      [
        { paths: ['server'] },
        { paths: ['client'], below: ['duplex.ts', 'promise.ts', ...PROTOCOL, 'protocol/client', 'sasl/client'] },
      ],
      [{ paths: ['server/trusted'] }],
      [{ paths: ['index.ts'] }, { paths: ['codes.ts'], isPure: true, below: [] }],
    ],
  },
  {
    root: 'packages/dns/src',
    packages: ['@postern/engine'],
    floors: [
      [{ paths: ['answer.ts'], isPure: true }],
      [
        { paths: ['names'] },
        { paths: ['message'], modules: [...NODE, 'dns-packet'] },
        { paths: ['cache.ts'], isPure: true },
      ],
      [{ paths: ['upstream.ts'], below: ['answer.ts', 'message'] }],
      [
        { paths: ['sockets'], modules: NODE, below: ['answer.ts', 'message', 'upstream.ts'] },
        { paths: ['https.ts'], below: ['answer.ts', 'message', 'upstream.ts'] },
        { paths: ['resolver.ts'] },
      ],
      [{ paths: ['index.ts'] }],
    ],
  },
  {
    root: 'packages/mail/src',
    packages: ['@postern/dns', '@postern/engine'],
    floors: [
      [
        { paths: ['signatures'], packages: ['@postern/engine'], modules: NODE },
        { paths: ['text'], isPure: true, packages: [] },
        { paths: ['defect.ts'], isPure: true, packages: [] },
      ],
      [
        { paths: ['header'], isPure: true, packages: [], below: ['text'] },
        { paths: ['transfer'], isPure: true, packages: [], below: ['defect.ts'] },
      ],
      [
        { paths: ['mime'], packages: [], below: ['text', 'defect.ts', 'header', 'transfer'] },
        { paths: ['trust'], modules: ['mailauth'], below: ['signatures'] },
      ],
      [{ paths: ['summary'], packages: [], below: ['text', 'defect.ts', 'header', 'transfer', 'mime'] }],
      [{ paths: ['conversation'], isPure: true, packages: [], below: ['summary'] }],
      [{ paths: ['index.ts'], packages: [], below: ['text', 'defect.ts', 'header', 'transfer', 'mime'] }],
    ],
  },
  {
    root: 'packages/runtime/src',
    packages: ['@postern/engine'],
    floors: [
      [{ paths: ['common'] }],
      [
        { paths: ['sockets/tls'], modules: [...NODE, '@peculiar/x509', 'reflect-metadata'] },
        { paths: ['memory'] },
        { paths: ['web'] },
        { paths: ['websocket'], modules: ['jose'] },
      ],
      [{ paths: ['sockets'], below: ['sockets/tls', 'common'], modules: NODE }],
      [
        { paths: ['node'], below: SOCKETS, modules: NODE },
        { paths: ['deno'], below: SOCKETS, modules: NODE },
        { paths: ['bun'], below: SOCKETS, modules: NODE },
        { paths: ['cloudflare'], below: ['web', 'common'], modules: ['cloudflare:', '@cloudflare/workers-types'] },
      ],
    ],
  },
  {
    root: 'packages/storage/src',
    packages: ['@postern/engine', '@postern/mail'],
    floors: [
      [{ paths: ['blob'], modules: NODE }],
      [{ paths: ['record'] }, { paths: ['disk'], modules: NODE }, { paths: ['bucket'] }, { paths: ['memory'] }],
      [{ paths: ['upkeep'], below: ['blob', 'record'] }],
      [
        { paths: ['mail'], below: ['blob', 'record', 'upkeep'] },
        { paths: ['fs'], modules: NODE, below: ['blob', 'record', 'disk'] },
        { paths: ['s3'], modules: [...NODE, 'aws4fetch'], below: ['blob', 'bucket'] },
        { paths: ['r2'], below: ['blob', 'bucket'] },
      ],
      [{ paths: ['maildir'], modules: NODE, below: ['blob', 'record', 'upkeep', 'mail', 'disk', 'fs'] }],
      [{ paths: ['document'], modules: NODE, below: ['record', 'mail'] }],
      [{ paths: ['index.ts'] }],
    ],
  },
  {
    root: 'packages/intake/src',
    packages: ['@postern/engine', '@postern/dns', '@postern/mail', '@postern/storage'],
    floors: [
      [
        { paths: ['verification'] },
        { paths: ['directory'], modules: ['@mongodb-js/saslprep'] },
        { paths: ['tokens'], modules: ['jose'] },
      ],
      [{ paths: ['guard.ts', 'handlers.ts', 'observe.ts', 'settings.ts'], below: ['verification'] }],
      [
        { paths: ['login-answer.ts'], below: ['directory'] },
        { paths: ['accounts'], below: ['directory'], modules: [...NODE, 'bcryptjs'] },
        { paths: ['guards'], below: ['guard.ts', 'directory'] },
      ],
      [{ paths: ['logins'], below: ['login-answer.ts', 'directory', 'accounts'], modules: NODE }],
      // A Worker runs it, so it knows neither accounts nor logins.
      [
        {
          paths: [''],
          below: ['guard.ts', 'handlers.ts', 'guards', 'login-answer.ts', 'directory', 'verification'],
        },
      ],
    ],
  },
  {
    root: 'packages/relay/src',
    packages: ['@postern/engine', '@postern/dns', '@postern/mail', '@postern/storage'],
    floors: [
      [
        { paths: ['queue'] },
        { paths: ['schedule.ts'], isPure: true },
        { paths: ['report'], isPure: true },
        { paths: ['signing'], modules: NODE },
        { paths: ['pieces.ts'], isPure: true },
        { paths: ['route/outcome.ts'] },
      ],
      [
        { paths: ['queue/memory'], below: ['queue'] },
        { paths: ['queue/sql'], below: ['queue'] },
        { paths: ['spool.ts'], below: ['pieces.ts'] },
        { paths: ['delivery'], below: ['queue', 'schedule.ts', 'report', 'route/outcome.ts'] },
        { paths: ['route/sts'], below: ['route/outcome.ts'] },
        { paths: ['route/dane'], modules: ['@peculiar/x509', 'reflect-metadata'], below: ['route/outcome.ts'] },
        { paths: ['tls-report'], isPure: true, below: ['route/outcome.ts'] },
      ],
      [
        { paths: ['route'], below: ['route/outcome.ts', 'route/sts', 'route/dane'] },
        { paths: ['route/https'], modules: NODE, below: ['route/sts'] },
        { paths: ['queue/sqlite'], modules: NODE, below: ['queue', 'queue/sql'] },
        { paths: ['queue/durable-object'], below: ['queue', 'queue/sql'] },
        {
          paths: ['queue/nats'],
          modules: ['@nats-io/jetstream', '@nats-io/transport-node'],
          below: ['queue', 'queue/memory'],
        },
      ],
      [
        { paths: ['options.ts'], below: ['queue', 'schedule.ts', 'report', 'pieces.ts', 'spool.ts', 'delivery'] },
        { paths: ['mx-router.ts'], below: ['delivery', 'route', 'route/outcome.ts', 'tls-report'] },
        { paths: ['tls-counting.ts'], below: ['delivery', 'route/outcome.ts', 'tls-report'] },
      ],
      [
        { paths: ['bookkeeping.ts', 'incoming.ts', 'leftovers.ts', 'outgoing.ts', 'removals.ts'], below: RELAY },
        { paths: ['onward'], modules: NODE, below: [...RELAY, 'signing'] },
      ],
      [{ paths: ['relay.ts'], below: [...RELAY, 'bookkeeping.ts'] }],
      [{ paths: ['index.ts'], below: [...RELAY, 'bookkeeping.ts', 'mx-router.ts', 'tls-counting.ts', 'relay.ts'] }],
    ],
  },
  {
    root: 'packages/worker/src',
    packages: [
      '@postern/engine',
      '@postern/dns',
      '@postern/runtime',
      '@postern/storage',
      '@postern/intake',
      '@postern/relay',
    ],
    floors: [
      [{ paths: ['email.ts', 'log.ts', 'peer.ts', 'resolver.ts', 'settings.ts'] }],
      [
        { paths: ['disk'], modules: ['cloudflare:'], below: ['log.ts'] },
        { paths: ['accounts.ts'], below: ['settings.ts'] },
      ],
      [{ paths: ['receiver.ts'] }],
      [
        { paths: ['entrypoints.ts'], modules: ['cloudflare:'], below: ['peer.ts', 'receiver.ts'] },
        // A Worker that only receives does not carry it.
        { paths: ['relay'], modules: ['cloudflare:', 'hono'], below: ['log.ts', 'settings.ts', 'receiver.ts'] },
      ],
      [{ paths: [''], modules: [...NODE, 'hono'], below: ['email.ts', 'log.ts', 'settings.ts', 'receiver.ts'] }],
    ],
  },
  {
    root: 'packages/testing/src',
    packages: ['@postern/engine', '@postern/runtime', '@postern/storage'],
    floors: [
      [
        { paths: ['chance.ts', 'check.ts'] },
        { paths: ['message.ts'], modules: ['postal-mime'] },
        { paths: ['runtime.ts'] },
      ],
      [{ paths: [''] }],
    ],
  },
  {
    root: 'apps/server',
    packages: [
      '@postern/engine',
      '@postern/dns',
      '@postern/mail',
      '@postern/runtime',
      '@postern/mail',
      '@postern/storage',
      '@postern/intake',
      '@postern/relay',
    ],
    floors: [
      [{ paths: ['src/host'], modules: NODE }],
      [
        { paths: ['src/config'], modules: NODE },
        { paths: ['src/front'], modules: [...NODE, 'ws', '@logtape/logtape'] },
      ],
      [{ paths: ['src/serve'], modules: [...NODE, 'ws', '@logtape/logtape', '@logtape/pretty'] }],
      [{ paths: ['src/workers'], modules: [...NODE, '@logtape/logtape'] }],
      [{ paths: ['src/cli'], modules: [...NODE, 'commander', 'nodemailer'] }],
      [{ paths: [''], modules: NODE }],
    ],
  },
  {
    root: 'apps/cloudflare',
    packages: ALL,
    floors: [[{ paths: [''], modules: ['@cloudflare/workers-types'] }]],
  },
]
