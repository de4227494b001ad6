/** The commands that edit accounts. */
import { Argument, type Command } from 'commander'
import type { FlagValues } from '../../config/settings.ts'
import { EXAMPLES } from './examples.ts'
import { command, flagFor, settings } from './flags.ts'

export function addAccounts(postern: Command): void {
  command(postern, 'hash', 'hash a password for --users', EXAMPLES.hash).action(async () => {
    const { hash } = await import('../commands/accounts/hash.ts')
    await hash()
  })

  accountsCommand(postern, 'user', 'add, change, remove and list accounts', EXAMPLES.user)
    .addArgument(
      new Argument('<action>', 'what to do').choices(['add', 'passwd', 'suspend', 'resume', 'remove', 'list']),
    )
    .argument('[address]', 'the address of the account')
    .option('--no-password', 'the account receives mail and cannot log in by a password')
    .option('--cram-md5', 'also store the password in clear, for clients that know nothing better than CRAM-MD5')
    .option('--iterations <number>', 'cost of the password record', '100000')
    .option('--yes', 'do not ask before --cram-md5')
    .action(async (action, address, flags) => {
      const { user } = await import('../commands/accounts/user.ts')
      await user(await settings(ofAccounts(flags)), action, address, flags)
    })

  accountsCommand(postern, 'alias', 'add, remove and list aliases', EXAMPLES.alias)
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'remove', 'list']))
    .argument('[address]', 'the address of the alias')
    .argument('[to...]', 'the accounts or aliases that get its mail')
    .action(async (action, address, to, flags) => {
      const { alias } = await import('../commands/accounts/alias.ts')
      await alias(await settings(ofAccounts(flags)), action, address, to, flags)
    })

  accountsCommand(postern, 'domain', 'add, remove and list the domains of accounts', EXAMPLES.domain)
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'remove', 'list']))
    .argument('[name]', 'a domain, or *.example.com for all below it')
    .option('--catch-all <address>', 'the account that gets what has no other recipient')
    .action(async (action, name, flags) => {
      const { domain } = await import('../commands/accounts/domain.ts')
      await domain(await settings(ofAccounts(flags)), action, name, flags)
    })

  accountsCommand(
    postern,
    'rule',
    'add, remove and list rules: what becomes of mail to an address or a domain',
    EXAMPLES.rule,
  )
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'remove', 'list']))
    .argument('[target]', 'an address, a domain, or *.example.com for all below it')
    .argument('[actions...]', 'keep, drop, refuse, refuse=REPLY, forward=ADDRESS, lmtp=URL, webhook=URL')
    .action(async (action, target, actions, flags) => {
      const { rule } = await import('../commands/accounts/rule.ts')
      await rule(await settings(ofAccounts(flags)), action, target, actions, flags)
    })
}

function accountsCommand(parent: Command, name: string, description: string, examples: string): Command {
  return command(parent, name, description, examples)
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
    .addOption(flagFor('accounts'))
    .option('--json', 'list as JSON')
}

/** Returns the flags that choose the accounts file. */
function ofAccounts({ config, accounts }: { readonly config?: string; readonly accounts?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(accounts !== undefined && { accounts }) }
}
