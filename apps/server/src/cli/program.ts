/**
 * The command line. Flags come from the table of options. The code of a command is loaded when it runs.
 *
 * Exit codes: 0 success, 1 something was missing or failed, 2 the user must change the command line, a setting or the machine. Errors
 * are one line on stderr.
 */
import process from 'node:process'
import { Argument, Command, CommanderError, Option as Flag } from 'commander'
import { EXIT, Failure, oneLine } from '../host/failure.ts'
import type { Option } from '../config/options/row.ts'
import { type OptionName, OPTIONS, optionsOf } from '../config/options.ts'
import { keepHeapSmall } from '../host/heap.ts'
import { complain, endWithReader, print } from '../host/output.ts'
import { environment, forbidden } from '../host/permission.ts'
import { formatQuantity, unitOf } from '../config/values/quantity.ts'
import { type FlagValues, flagOf, readSettings, type Settings, variables } from '../config/settings.ts'
import { nearest } from '../config/values/nearest.ts'
import { EXAMPLES } from './examples.ts'
import { VERSION } from '../host/version.ts'

/** The shells of `postern completion`. */
const SHELLS = ['bash', 'zsh', 'fish']
/** The actions of `postern queue`. */
const QUEUE_ACTIONS = ['list', 'show', 'retry', 'hold', 'release', 'delete', 'stats']

/** Runs one command line. @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const [name, ...rest] = args
    if (name === 'sendmail' && !rest.includes('--help')) return await sendMail(rest)
    await program().parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' })
    return Number(process.exitCode ?? EXIT.done)
  } catch (error) {
    if (error instanceof CommanderError) return misuse(error)
    const failure = error instanceof Failure ? error : forbidden(error)
    if (failure === undefined) throw error
    complain(failure.message)
    return failure.exitCode
  }
}

/** Runs `postern sendmail`, whose flags are not those of the other commands. */
async function sendMail(args: readonly string[]): Promise<number> {
  const [{ sendmail }, { withSysexits }] = await Promise.all([
    import('./commands/sendmail.ts'),
    import('./sending/sysexits.ts'),
  ])
  endWithReader()
  return withSysexits(async () => sendmail(args, (await settings({})).options.submitTo))
}

function misuse(error: CommanderError): number {
  // commander throws with exit code 0 after it has printed the help or the version.
  if (error.exitCode === 0) return EXIT.done
  const line = oneLine(error.message.replace(/^error: /, ''))
  complain(`${line}; see: postern --help`)
  return EXIT.misused
}

function program(): Command {
  const postern = new Command('postern')
    .description('An SMTP server that stores the mail that it receives.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help, or the help of the command')
    .helpCommand(false)
    .exitOverride()
    // The help has no colours. To detect support for them, commander would read variables that Deno may not allow.
    .configureOutput({ writeOut: printHelp, writeErr: () => {}, getOutHasColors: () => false })
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 120), sortSubcommands: false })
    .addHelpText('after', EXAMPLES.postern)

  const serve = storeCommand(postern, 'serve', 'receive mail and store it, until Ctrl-C', EXAMPLES.serve).action(
    async (flags) => {
      const { runServe } = await import('./commands/serve.ts')
      process.exitCode = await runServe(await settings(flags))
    },
  )
  for (const name of optionsOf('serve')) addFlag(serve, name)

  const front = storeCommand(
    postern,
    'front',
    'accept connections and pipe them to a server on another machine',
    EXAMPLES.front,
  )
  front.action(async (flags) => {
    const { runFront } = await import('./commands/front.ts')
    process.exitCode = await runFront(await settings(flags))
  })
  for (const name of optionsOf('front')) addFlag(front, name)

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
      const { list } = await import('./commands/list.ts')
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
      const { watch } = await import('./commands/watch.ts')
      await watch(await settings(ofStore(flags)), flags)
    })

  storeCommand(postern, 'show <id>', 'show one message: envelope, header and the beginning of the text', EXAMPLES.show)
    .addOption(storeFlag())
    .addOption(new Flag('--json', 'the record as JSON').conflicts('raw'))
    .option('--raw', 'the stored bytes, exactly')
    .action(async (id, flags) => {
      const { show } = await import('./commands/show.ts')
      await show(await settings(flags), id, flags)
    })

  storeCommand(postern, 'export [ids...]', 'export all messages, or only the named ones', EXAMPLES.export)
    .addOption(storeFlag())
    .addOption(
      new Flag('--format <format>', 'format of the export').choices(['mbox', 'maildir', 'jsonl']).makeOptionMandatory(),
    )
    .option('--output <path>', 'a file, or for maildir a directory (default: standard output)')
    .action(async (ids, flags) => {
      const { exportMail } = await import('./commands/export.ts')
      await exportMail(await settings(flags), ids, flags)
    })

  storeCommand(postern, 'delete [ids...]', 'delete messages', EXAMPLES.delete)
    .addOption(storeFlag())
    .option('--all', 'delete every message, also those that have bounced')
    .option('--yes', 'do not ask before --all')
    .option('--json', 'one line of JSON for each message')
    .action(async (ids, flags) => {
      const { remove } = await import('./commands/delete.ts')
      await remove(await settings(flags), ids, flags)
    })

  const sweep = storeCommand(
    postern,
    'sweep',
    'remove leftovers of messages that were not committed, and mail past the retention limits',
    EXAMPLES.sweep,
  )
    .option('--older-than <time>', 'remove only leftovers that are older (default: 1d, or twice a session)')
    .option('--json', 'one object: { swept, expired }')
    .action(async (flags) => {
      const { sweep } = await import('./commands/sweep.ts')
      await sweep(await settings(flags), flags)
    })
  for (const name of optionsOf('sweep')) addFlag(sweep, name)

  const send = command(
    postern,
    'send [file]',
    'send a message: a file, standard input, or what the flags say',
    EXAMPLES.send,
  )
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
    .option('--from <address>', 'the sender (default: this user at this machine)')
    .addOption(listFlag('--to <address>', 'recipient'))
    .addOption(listFlag('--cc <address>', 'recipient of a copy'))
    .addOption(listFlag('--bcc <address>', 'recipient who is not named in the message'))
    .option('--reply-to <address>', 'where answers go')
    .option('--subject <text>', 'the subject')
    .option('--text <text>', 'the text')
    .option('--html <html>', 'the text as HTML')
    .addOption(listFlag('--attach <file>', 'file to attach'))
    .addOption(listFlag('--header <field>', "header field, such as 'X-Priority: 1'"))
    .option('--user <name>', 'log in as this user; the password is POSTERN_PASSWORD, or asked for')
    .option('--ca <file>', 'trust the authorities in this file')
    .option('--insecure', "do not check the server's certificate")
    .option('--hello <name>', 'the name to give in EHLO (default: the name of this machine)')
    .option('--verbose', 'show both sides of the session')
    .option('--json', 'one object: { recipients, reply, error }')
    .action((file, flags) =>
      sending(async () => {
        const { send: run } = await import('./commands/send.ts')
        const { options } = await settings(ofSending(flags))
        return run(options.submitTo, file, flags)
      }),
    )
  for (const name of optionsOf('send')) addFlag(send, name)

  // For the help. Commander would take -V of sendmail for its own.
  command(postern, 'sendmail', 'send a message as sendmail does: -t -i -f -F -bs -N -R -V -v', EXAMPLES.sendmail)

  command(postern, 'hash', 'hash a password for --users', EXAMPLES.hash).action(async () => {
    const { hash } = await import('./commands/hash.ts')
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
      const { user } = await import('./commands/user.ts')
      await user(await settings(ofAccounts(flags)), action, address, flags)
    })

  accountsCommand(postern, 'alias', 'add, remove and list aliases', EXAMPLES.alias)
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'remove', 'list']))
    .argument('[address]', 'the address of the alias')
    .argument('[to...]', 'the accounts or aliases that get its mail')
    .action(async (action, address, to, flags) => {
      const { alias } = await import('./commands/alias.ts')
      await alias(await settings(ofAccounts(flags)), action, address, to, flags)
    })

  accountsCommand(postern, 'domain', 'add, remove and list the domains of accounts', EXAMPLES.domain)
    .addArgument(new Argument('<action>', 'what to do').choices(['add', 'remove', 'list']))
    .argument('[name]', 'a domain, or *.example.com for all below it')
    .option('--catch-all <address>', 'the account that gets what has no other recipient')
    .action(async (action, name, flags) => {
      const { domain } = await import('./commands/domain.ts')
      await domain(await settings(ofAccounts(flags)), action, name, flags)
    })

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
      const { dkim } = await import('./commands/dkim.ts')
      await dkim(await settings(ofDkim(flags)), action, domain, flags)
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
      const { queue: run } = await import('./commands/queue.ts')
      await run(await settings(ofQueue(flags)), action, ids, flags)
    })
  for (const name of optionsOf('queue')) addFlag(queue, name)

  command(postern, 'completion', 'print a script that completes commands and flags in a shell', EXAMPLES.completion)
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action(async (shell) => {
      const { completion } = await import('./commands/completion.ts')
      await completion(postern, shell)
    })

  command(postern, 'help [command]', 'print this help, or the help of a command', '').action((name?: string) => {
    const named = name === undefined ? postern : postern.commands.find((other) => other.name() === name)
    const known = postern.commands.map((other) => other.name())
    if (named === undefined) throw new Failure(`help: there is no command ${name}${nearest(name ?? '', known)}`)
    named.help()
  })
  return postern
}

/** Prints help, or the version. A reader such as `head` may close the output before the end. */
function printHelp(text: string): void {
  endWithReader()
  void print(text)
}

function command(parent: Command, signature: string, description: string, examples: string): Command {
  return parent
    .command(signature)
    .description(description)
    .addHelpText('after', examples)
    .hook('preAction', (_, action) => {
      if (action.name() === 'serve' || action.name() === 'front') return
      endWithReader()
      keepHeapSmall()
    })
}

function storeCommand(parent: Command, signature: string, description: string, examples: string): Command {
  return command(parent, signature, description, examples)
    .optionsGroup('Where:')
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
}

function accountsCommand(parent: Command, name: string, description: string, examples: string): Command {
  return command(parent, name, description, examples)
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
    .addOption(flagFor('accounts'))
    .option('--json', 'list as JSON')
}

/** Runs a command whose exit codes are those of sysexits(3). */
async function sending(run: () => Promise<number>): Promise<void> {
  const { withSysexits } = await import('./sending/sysexits.ts')
  process.exitCode = await withSysexits(run)
}

/** Makes a flag that may be given several times. */
function listFlag(signature: string, help: string): Flag {
  return new Flag(signature, `${help}; may be given several times`).argParser((text, earlier: string[] = []) => [
    ...earlier,
    text,
  ])
}

/** Returns the flags that choose the server. Leaves out `--to`, which is an option of a front. */
function ofSending({ config, submitTo }: { readonly config?: string; readonly submitTo?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(submitTo !== undefined && { submitTo }) }
}

/** Returns the flags that choose the accounts file. */
function ofAccounts({ config, accounts }: { readonly config?: string; readonly accounts?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(accounts !== undefined && { accounts }) }
}

/** Returns the flags that choose the keys and the resolver. */
function ofDkim(flags: FlagValues): FlagValues {
  const chosen = (['config', ...optionsOf('dkim')] as const).map((name) => [name, flags[name]] as const)
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined))
}

/** Returns the flags that choose the queue. */
function ofQueue({ config, queue }: { readonly config?: string; readonly queue?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(queue !== undefined && { queue }) }
}

/** Returns the flags that choose the store. Leaves out others, because `--to` of `list` is not the option `to` of a front. */
function ofStore({ config, store }: { readonly config?: string; readonly store?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(store !== undefined && { store }) }
}

async function settings(flags: FlagValues): Promise<Settings> {
  checkDirectory()
  return readSettings(flags, environment(variables()))
}

/** Checks that the working directory exists, because paths may be relative to it. @throws Failure */
function checkDirectory(): void {
  try {
    process.cwd()
  } catch (cause) {
    throw new Failure('the working directory does not exist any more; start in another one', EXIT.misused, { cause })
  }
}

function storeFlag(): Flag {
  return flagFor('store')
}

function addFlag(command: Command, name: OptionName): void {
  const option: Option = OPTIONS[name]
  if (option.fileOnly === true) return
  command.addOption(flagFor(name))
  if (option.value === undefined) command.addOption(new Flag(`--no-${flagOf(name).slice(2)}`).hideHelp())
}

function flagFor(name: OptionName): Flag {
  const { value, help, group, repeatable, byDefault }: Option = OPTIONS[name]
  const flag = new Flag(
    value === undefined ? flagOf(name) : `${flagOf(name)} <${value}>`,
    help + defaultText(name, byDefault),
  )
  if (repeatable === true) flag.argParser((text, earlier: string[] = []) => [...earlier, text])
  return flag.helpGroup(group)
}

function defaultText(name: string, value: unknown): string {
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) return ''
  return ` (default: ${typeof value === 'number' ? formatQuantity(value, unitOf(name)) : String(value)})`
}
