/** Answers each recipient of a message to `each-…` for itself, and keeps nothing then. The store keeps every other message. */
import { reply } from '@postern/engine'
import { type Config, defineConfig } from '@postern/server/config'

const answers: Config = defineConfig({
  handlers: {
    rcpt({ address }) {
      return address.startsWith('nobody') ? reply(550, '5.1.1', 'No such mailbox') : undefined
    },
    data({ envelope: { forwardPaths } }) {
      if (!forwardPaths.some(({ address }) => address.startsWith('each-'))) return undefined
      return forwardPaths.map(({ localPart }) => {
        if (localPart === 'each-full') return reply(452, '4.2.2', 'Mailbox is full')
        if (localPart === 'each-off') return reply(550, '5.2.1', 'Mailbox is off')
        return reply(250, '2.1.5', `Kept for ${localPart}`)
      })
    },
  },
})

export default answers
