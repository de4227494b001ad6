import type { Duplex } from '../duplex.ts'
import { replyText } from '../protocol/client/server-reply.ts'
import { Channel } from './channel.ts'
import { refusal } from './commands.ts'
import { type Client, endOn, SmtpClient } from './client.ts'
import { ClientError, messageOf } from './error.ts'
import { type ClientOptions, resolveClientOptions } from './options.ts'

const READY = 220

/**
 * Greets the server on a connection: reads the greeting, says EHLO (HELO if the server refuses EHLO), STARTTLS and EHLO again, and
 * AUTH, as the options ask. Destroys the connection if it rejects.
 * @throws ClientError, OptionError
 */
export async function openClient(duplex: Duplex, options: ClientOptions): Promise<Client> {
  let channel: Channel | undefined
  let stop = (): void => {}
  try {
    const settings = resolveClientOptions(options)
    channel = new Channel(duplex, settings)
    stop = endOn(channel, options.signal)
    await channel.verifyServer()
    const greeting = await channel.reply('greeting', settings.timeouts.greetingMs)
    if (greeting.code !== READY) {
      if (greeting.code >= 400) throw refusal(channel, 'greeting', greeting)
      throw channel.fail('protocol', `the server greeted with a wrong code: ${replyText(greeting)}`)
    }
    const client = new SmtpClient(channel, settings, greeting)
    await client.open(options.credentials)
    client.rest()
    if (!channel.isOpen) throw channel.failure ?? channel.fail('closed', 'the server closed the connection')
    return client
  } catch (error) {
    if (channel === undefined) duplex.destroy(error instanceof Error ? error : undefined)
    else if (error instanceof ClientError) channel.failWith(error)
    else channel.fail('aborted', messageOf(error), error)
    throw error
  } finally {
    stop()
  }
}
