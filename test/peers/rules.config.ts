/** The refusals of the server under test: unknown recipients permanently, and busy ones at the first try. */
import { reply } from '@postern/engine'
import { type Config, defineConfig } from '@postern/server/config'

const tried = new Set<string>()

const rules: Config = defineConfig({
  handlers: {
    rcpt({ address }) {
      if (address.startsWith('nobody')) return reply(550, '5.1.1', 'No such mailbox')
      if (!address.startsWith('busy') || tried.has(address)) return undefined
      tried.add(address)
      return reply(451, '4.2.1', 'Mailbox is busy, try again')
    },
  },
})

export default rules
