/** The commands that send one message: `postern send` and `postern sendmail`. */
import process from 'node:process'
import type { Command } from 'commander'
import { optionsOf } from '../../config/options.ts'
import type { FlagValues } from '../../config/settings.ts'
import { EXAMPLES } from './examples.ts'
import { addFlag, command, listFlag, settings } from './flags.ts'

export function addSending(postern: Command): void {
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
        const { send: run } = await import('../commands/send.ts')
        const { options } = await settings(ofSending(flags))
        return run(options.submitTo, file, flags)
      }),
    )
  for (const name of optionsOf('send')) addFlag(send, name)

  // For the help. Commander would take -V of sendmail for its own.
  command(postern, 'sendmail', 'send a message as sendmail does: -t -i -f -F -bs -N -R -V -v', EXAMPLES.sendmail)
}

/** Runs a command whose exit codes are those of sysexits(3). */
async function sending(run: () => Promise<number>): Promise<void> {
  const { withSysexits } = await import('../sending/sysexits.ts')
  process.exitCode = await withSysexits(run)
}

/** Returns the flags that choose the server. Leaves out `--to`, which is an option of a front. */
function ofSending({ config, submitTo }: { readonly config?: string; readonly submitTo?: string }): FlagValues {
  return { ...(config !== undefined && { config }), ...(submitTo !== undefined && { submitTo }) }
}
