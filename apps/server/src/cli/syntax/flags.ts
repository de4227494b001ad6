/** Makes the commands and their flags. Flags of options come from the table of options. */
import process from 'node:process'
import { type Command, Option as Flag } from 'commander'
import { EXIT, Failure } from '../../host/failure.ts'
import type { Option } from '../../config/options/row.ts'
import { type OptionName, OPTIONS } from '../../config/options.ts'
import { keepHeapSmall } from '../../host/heap.ts'
import { endWithReader } from '../../host/output.ts'
import { environment } from '../../host/permission.ts'
import { formatQuantity, unitOf } from '../../config/values/quantity.ts'
import { type FlagValues, flagOf, readSettings, type Settings, variables } from '../../config/settings.ts'

export function command(parent: Command, signature: string, description: string, examples: string): Command {
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

export function storeCommand(parent: Command, signature: string, description: string, examples: string): Command {
  return command(parent, signature, description, examples)
    .optionsGroup('Where:')
    .option('--config <file>', 'the config file (default: postern.config.ts, .js, .mjs or .json)')
}

/** Makes a flag that may be given several times. */
export function listFlag(signature: string, help: string): Flag {
  return new Flag(signature, `${help}; may be given several times`).argParser((text, earlier: string[] = []) => [
    ...earlier,
    text,
  ])
}

export function addFlag(command: Command, name: OptionName): void {
  const option: Option = OPTIONS[name]
  if (option.fileOnly === true) return
  command.addOption(flagFor(name))
  if (option.value === undefined) command.addOption(new Flag(`--no-${flagOf(name).slice(2)}`).hideHelp())
}

export function flagFor(name: OptionName): Flag {
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

/** Reads the settings of a command. @throws Failure */
export async function settings(flags: FlagValues): Promise<Settings> {
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
