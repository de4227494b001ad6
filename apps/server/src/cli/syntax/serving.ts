/** The commands that run until they are stopped: `postern serve` and `postern front`. */
import process from 'node:process'
import type { Command } from 'commander'
import { optionsOf } from '../../config/options.ts'
import { EXAMPLES } from './examples.ts'
import { addFlag, settings, storeCommand } from './flags.ts'

export function addServing(postern: Command): void {
  const serve = storeCommand(postern, 'serve', 'receive mail and store it, until Ctrl-C', EXAMPLES.serve).action(
    async (flags) => {
      const { runServe } = await import('../commands/serve.ts')
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
    const { runFront } = await import('../commands/front.ts')
    process.exitCode = await runFront(await settings(flags))
  })
  for (const name of optionsOf('front')) addFlag(front, name)
}
