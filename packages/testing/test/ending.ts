/** Closes an inbox that holds up a reply for an hour. Then the runtime ends by itself, if nothing is left open. */
import { testInbox } from '../src/index.ts'
import { said, withClient } from './client.ts'

const inbox = await testInbox({ delayMs: { mail: 3_600_000 } })
await withClient(inbox, async (client) => {
  await said(client)
  await said(client, 'EHLO c.example')
  client.send('MAIL FROM:<a@b.example>\r\n')
  // By the time that this client has its reply, the server has read the command above.
  await withClient(inbox, async (other) => void (await said(other)))
  await inbox.close()
})
