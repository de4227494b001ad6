/**
 * The command line. Flags come from the table of options. The code of a command is loaded when it runs.
 *
 * Exit codes: 0 success, 1 something was missing or failed, 2 the user must change the command line, a setting or the machine. Errors
 * are one line on stderr.
 */
import process from 'node:process'
import { Argument, Command, CommanderError } from 'commander'
import { EXIT, Failure, oneLine } from '../host/failure.ts'
import { complain, endWithReader, print } from '../host/output.ts'
import { forbidden } from '../host/permission.ts'
import { nearest } from '../config/values/nearest.ts'
import { VERSION } from '../host/version.ts'
import { addAccounts } from './syntax/accounts.ts'
import { EXAMPLES } from './syntax/examples.ts'
import { command, settings } from './syntax/flags.ts'
import { addSending } from './syntax/sending.ts'
import { addRelaying } from './syntax/relaying.ts'
import { addServing } from './syntax/serving.ts'
import { addStoredMail } from './syntax/stored-mail.ts'

/** The shells of `postern completion`. */
const SHELLS = ['bash', 'zsh', 'fish']

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

  addServing(postern)
  addStoredMail(postern)
  addSending(postern)
  addAccounts(postern)
  addRelaying(postern)

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
