/** The commands about stored mail. */
import { type Command, Option as Flag } from 'commander'
import { optionsOf } from '../../config/options.ts'
import type { FlagValues } from '../../config/settings.ts'
import { EXAMPLES } from './examples.ts'
import { addFlag, flagFor, settings, storeCommand } from './flags.ts'

export function addStoredMail(postern: Command): void {
  storeCommand(postern, 'list', 'list stored messages, newest first', EXAMPLES.list)
    .addOption(storeFlag())
    .option('--limit <number>', 'largest number of messages', '50')
    .option('--cursor <cursor>', 'continue where an earlier list stopped')
    .option('--from <address>', 'only messages from this address, from @domain, or from <> (bounces)')
    .option('--to <address>', 'only messages to this address, or to @domain')
    .option('--since <time>', 'only messages since a time (2026-11-30T10:00) or a time ago (2h)')
    .option('--bounced', 'list the messages that have bounced, instead of the others')
    .option('--follow', 'print the oldest first, then each new message, until Ctrl-C')
    .option('--json', 'one object: { records, corrupt, cursor }; with --follow a line for each message')
    .action(async (flags) => {
      const { list } = await import('../commands/list.ts')
      await list(await settings(ofStore(flags)), flags)
    })

  storeCommand(postern, 'watch', 'print a line for each new message, until Ctrl-C', EXAMPLES.watch)
    .addOption(storeFlag())
    .option('--from <address>', 'only messages from this address, from @domain, or from <> (bounces)')
    .option('--to <address>', 'only messages to this address, or to @domain')
    .option('--exec <command>', 'run this shell command for each message, one at a time, with the message as its input')
    .option('--exec-timeout <time>', 'end a command that takes longer', '5m')
    .option('--json', 'a line of JSON for each message: { record, exec }')
    .action(async (flags) => {
      const { watch } = await import('../commands/watch.ts')
      await watch(await settings(ofStore(flags)), flags)
    })

  const show = storeCommand(
    postern,
    'show <id>',
    'show one message: envelope, header and the beginning of the text',
    EXAMPLES.show,
  )
    .addOption(storeFlag())
    .addOption(
      new Flag('--json', 'the message as one JSON object: { record, summary, verdicts, text, parts … }').conflicts(
        'raw',
      ),
    )
    .option('--raw', 'the stored bytes, exactly')
    .action(async (id, flags) => {
      const { show } = await import('../commands/show.ts')
      await show(await settings(flags), id, flags)
    })
  for (const name of optionsOf('show')) addFlag(show, name)

  storeCommand(
    postern,
    'attachments <id> [section]',
    'list the attachments of a message, or write one of them, decoded',
    EXAMPLES.attachments,
  )
    .addOption(storeFlag())
    .option('--link <time>', 'make links that expire after this time, to those that are kept apart in an s3: store')
    .option('--json', 'one object: { id, attachments }')
    .action(async (id, section, flags) => {
      const { attachments } = await import('../commands/attachments.ts')
      await attachments(await settings(ofStore(flags)), id, section, flags)
    })

  storeCommand(postern, 'export [ids...]', 'export all messages, or only the named ones', EXAMPLES.export)
    .addOption(storeFlag())
    .addOption(
      new Flag('--format <format>', 'format of the export').choices(['mbox', 'maildir', 'jsonl']).makeOptionMandatory(),
    )
    .option('--output <path>', 'a file, or for maildir a directory (default: standard output)')
    .action(async (ids, flags) => {
      const { exportMail } = await import('../commands/export.ts')
      await exportMail(await settings(flags), ids, flags)
    })

  storeCommand(postern, 'delete [ids...]', 'delete messages', EXAMPLES.delete)
    .addOption(storeFlag())
    .option('--all', 'delete every message, also those that have bounced')
    .option('--yes', 'do not ask before --all')
    .option('--json', 'one line of JSON for each message')
    .action(async (ids, flags) => {
      const { remove } = await import('../commands/delete.ts')
      await remove(await settings(flags), ids, flags)
    })

  const release = storeCommand(
    postern,
    'release <ids...>',
    'move messages from the quarantine to the store',
    EXAMPLES.release,
  )
    .addOption(storeFlag())
    .option('--json', 'one line of JSON for each message')
    .action(async (ids, flags) => {
      const { release: run } = await import('../commands/release.ts')
      await run(await settings(flags), ids, flags)
    })
  for (const name of optionsOf('release')) addFlag(release, name)

  const sweep = storeCommand(
    postern,
    'sweep',
    'remove leftovers of messages that were not committed, and mail past the retention limits',
    EXAMPLES.sweep,
  )
    .option('--older-than <time>', 'remove only leftovers that are older (default: 1d, or twice a session)')
    .option('--json', 'one object: { swept, expired }')
    .action(async (flags) => {
      const { sweep } = await import('../commands/sweep.ts')
      await sweep(await settings(flags), flags)
    })
  for (const name of optionsOf('sweep')) addFlag(sweep, name)
}

function storeFlag(): Flag {
  return flagFor('store')
}

/** Returns the flags that choose the store. Leaves out others, because `--to` of `list` is not the option `to` of a front. */
function ofStore({ config, store }: { readonly config?: string; readonly store?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(store !== undefined && { store }) }
}
