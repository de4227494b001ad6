import { reply } from '@postern/engine'
import { createWorker } from '@postern/worker'

export default createWorker({
  bucket: (env) => env.MAIL,
  handlers: {
    // Who gets mail. Without this hook, every mailbox of POSTERN_DOMAINS does.
    rcpt: (to) => (to.localPart === 'nobody' ? reply(550, '5.1.1', 'No such user') : undefined),
  },
})
