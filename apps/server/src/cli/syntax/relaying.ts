/** The commands about mail that the server sends on: `postern dkim` and `postern queue`. */
import { Argument, type Command, Option as Flag } from 'commander'
import { optionsOf } from '../../config/options.ts'
import type { FlagValues } from '../../config/settings.ts'
import { EXAMPLES } from './examples.ts'
import { addFlag, command, settings } from './flags.ts'

const QUEUE_ACTIONS = ['list', 'show', 'retry', 'hold', 'release', 'delete', 'stats']

export function addRelaying(postern: Command): void {
  const dkim = command(postern, 'dkim', 'make keys for DKIM, and compare them with DNS', EXAMPLES.dkim)
    .addArgument(new Argument('<action>', 'what to do').choices(['keygen', 'check']))
    .argument('[domain]', 'the domain that sends the mail; check without it looks at all keys')
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
    .option('--selector <name>', 'name of the key in DNS (default for keygen: the day and the type)')
    .addOption(new Flag('--type <type>', 'type of the key (default: both)').choices(['rsa', 'ed25519', 'both']))
    .option('--out <path>', 'directory for the new key (default: that of --dkim)')
    .option('--signs-from <time>', 'the new key signs from then on (2026-12-05), or after a time (2d)')
    .option('--signs-until <time>', 'the new key signs no longer then')
    .option('--force', 'replace a key that is there')
    .option('--json', 'a list of objects')
    .action(async (action, domain, flags) => {
      const { dkim } = await import('../commands/dkim.ts')
      await dkim(await settings(ofCommand('dkim', flags)), action, domain, flags)
    })
  for (const name of optionsOf('dkim')) addFlag(dkim, name)

  const queue = command(postern, 'queue', 'look at mail that waits to be sent on, and change it', EXAMPLES.queue)
    .addArgument(new Argument('<action>', 'what to do').choices(QUEUE_ACTIONS))
    .argument('[ids...]', 'the messages')
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
    .option('--all', 'retry, hold, release or delete every message')
    .option('--destination <domain>', 'only messages with a recipient in this domain')
    .addOption(
      new Flag('--state <state>', 'list only deliveries in this state').choices(['waiting', 'due', 'held', 'finished']),
    )
    .option('--limit <number>', 'largest number of messages in a list (default: 50)')
    .option('--cursor <cursor>', 'continue where an earlier list stopped')
    .option('--raw', 'show the bytes of the message, exactly')
    .option('--yes', 'do not ask before delete --all')
    .option('--json', 'as JSON: list { entries, cursor }, show and stats one object, others a line for each message')
    .action(async (action, ids, flags) => {
      const { queue: run } = await import('../commands/queue.ts')
      await run(await settings(ofCommand('queue', flags)), action, ids, flags)
    })
  for (const name of optionsOf('queue')) addFlag(queue, name)
}

/** Returns the flags that are options of the server. A command has flags of its own with other meanings. */
function ofCommand(command: 'dkim' | 'queue', flags: FlagValues): FlagValues {
  const chosen = (['config', ...optionsOf(command)] as const).map((name) => [name, flags[name]] as const)
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined))
}
