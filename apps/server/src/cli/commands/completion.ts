/**
 * `postern completion`: makes scripts with which a shell completes commands, flags and their values.
 *
 * The script has all words in it, taken from the commands of the program. So the shell starts no program when the user presses Tab.
 */
import type { Command, Option as Flag } from 'commander'
import type { Option } from '../../config/options/row.ts'
import { OPTIONS } from '../../config/options.ts'
import { print } from '../../host/output.ts'

const SCRIPTS: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = { bash, zsh, fish }

const ROWS: ReadonlyMap<string, Option> = new Map(Object.entries(OPTIONS))

interface Choice {
  readonly name: string
  readonly help: string
}

interface CompletedFlag extends Choice {
  /** The words that the flag takes; 'file' for a path, '' for any other value; undefined if it takes none. */
  readonly value: readonly string[] | 'file' | '' | undefined
}

interface CompletedCommand extends Choice {
  readonly flags: readonly CompletedFlag[]
  /** The words that the command takes as its argument. */
  readonly words: readonly string[]
}

/** Prints the script. @param shell `bash`, `zsh` or `fish` */
export async function completion(postern: Command, shell: string): Promise<void> {
  const script = SCRIPTS[shell]
  if (script === undefined) throw new Error(`${shell}: there is no script for it`)
  await print(script(commandsOf(postern)))
}

function commandsOf(postern: Command): CompletedCommand[] {
  const help = postern.createHelp()
  const commands = help.visibleCommands(postern)
  const names = commands.map((command) => command.name())
  return commands.map((command) => {
    const name = command.name()
    const [argument] = command.registeredArguments
    return {
      name,
      help: command.description(),
      flags: help.visibleOptions(command).flatMap(completed),
      words: name === 'help' ? names : (argument?.argChoices ?? []),
    }
  })
}

function completed(flag: Flag): CompletedFlag[] {
  const { long, description, argChoices, required, optional, flags } = flag
  if (!long) return []
  const words = argChoices ?? ROWS.get(flag.attributeName())?.schema.words
  const value = words ?? (/<(file|path)>$/.test(flags) ? ('file' as const) : '')
  return [{ name: long, help: description, value: required || optional ? value : undefined }]
}

/** Makes the branches of a `case` for the flags that take a value. @param act Returns the code of one branch */
function branches(
  commands: readonly CompletedCommand[],
  act: (value: NonNullable<CompletedFlag['value']>) => string,
): string {
  const patterns = new Map<string, string[]>()
  for (const command of commands) {
    for (const { name, value } of command.flags) {
      if (value === undefined) continue
      const done = act(value)
      patterns.set(done, [...(patterns.get(done) ?? []), `'${command.name} ${name}'`])
    }
  }
  return [...patterns].map(([done, those]) => `    (${those.join('|')}) ${done}; return ;;\n`).join('')
}

/** Returns the words and flags that may follow a command. */
function following({ words, flags }: CompletedCommand): string {
  return [...words, ...flags.map(({ name }) => name)].join(' ')
}

function bash(commands: readonly CompletedCommand[]): string {
  const act = (value: NonNullable<CompletedFlag['value']>): string => {
    if (value === '') return ':'
    // An array of $(…) would take a file called * for a pattern. bash 3 has no mapfile.
    if (value === 'file') return 'compopt -o filenames 2>/dev/null; _postern_files'
    return `COMPREPLY=($(compgen -W '${value.join(' ')}' -- "$cur"))`
  }
  const words = commands.map((command) => `    (${command.name}) words='${following(command)}' ;;\n`).join('')
  return `# Completes postern in bash. In ~/.bashrc: source <(postern completion bash)
_postern_files() {
  local file
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$cur")
}
_postern() {
  local IFS=$' \\t\\n' cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words=
  # bash splits --flag=value at the =
  if [ "$cur" = = ]; then cur=; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]} $prev" in
${branches(commands, act)}  esac
  case "\${COMP_WORDS[1]}" in
${words}  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _postern postern
`
}

function zsh(commands: readonly CompletedCommand[]): string {
  const act = (value: NonNullable<CompletedFlag['value']>): string =>
    value === '' ? ':' : value === 'file' ? '_files' : `compadd -- ${value.join(' ')}`
  const words = commands.map((command) => `    (${command.name}) compadd -- ${following(command)} ;;\n`).join('')
  return `#compdef postern
# Completes postern in zsh. In ~/.zshrc, below compinit: source <(postern completion zsh)
_postern() {
  if (( CURRENT == 2 )); then
    compadd -- ${commands.map(({ name }) => name).join(' ')} --help --version
    return
  fi
  case "\${words[2]} \${words[CURRENT-1]}" in
${branches(commands, act)}  esac
  case "\${words[2]}" in
${words}  esac
}
if [[ "\${funcstack[1]}" == _postern ]]; then _postern "$@"; else compdef _postern postern; fi
`
}

function fish(commands: readonly CompletedCommand[]): string {
  const lines = [
    '# Completes postern in fish. In ~/.config/fish/config.fish: postern completion fish | source',
    'complete -c postern -f',
  ]
  for (const { name, help, flags, words } of commands) {
    lines.push(`complete -c postern -n __fish_use_subcommand -a ${name} -d ${quoted(help)}`)
    const seen = `complete -c postern -n '__fish_seen_subcommand_from ${name}'`
    if (words.length > 0) lines.push(`${seen} -a '${words.join(' ')}'`)
    for (const flag of flags) {
      const { value } = flag
      const takes =
        value === undefined ? '' : value === '' ? ' -x' : value === 'file' ? ' -r -F' : ` -x -a '${value.join(' ')}'`
      lines.push(`${seen} -l ${flag.name.slice(2)}${takes} -d ${quoted(flag.help)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
