/** Sends commands in a group, if the server offers PIPELINING: RFC 2920. */
import type { ServerReply } from '../protocol/client/server-reply.ts'
import type { Channel } from './channel.ts'
import type { ClientStage } from './error.ts'

export interface GroupedCommand {
  readonly line: string
  readonly stage: ClientStage
  readonly ms: number
}

/**
 * Octets of commands that may be on the way without a reply. The client reads replies while it writes, so this does not have to fit
 * into buffers of the network. It bounds what a server has to hold.
 */
const WINDOW_OCTETS = 32_768
const encoder = new TextEncoder()
const EMPTY = new Uint8Array(0)

/**
 * Sends commands, and gives each reply to `took` in order. Stops after a 421.
 * @param isPipelining Without it, each command waits for the reply to the one before
 * @param tail Goes into the same write as the last command
 * @throws ClientError
 */
export async function sendGroup(
  channel: Channel,
  commands: readonly GroupedCommand[],
  isPipelining: boolean,
  tail: Uint8Array,
  took: (reply: ServerReply, index: number) => void,
): Promise<void> {
  let sent = 0
  let waitingOctets = 0
  const windowOctets = isPipelining ? WINDOW_OCTETS : 0
  for (const [index, { line, stage, ms }] of commands.entries()) {
    if (sent === index) channel.assertReady(stage)
    const isRoomy = waitingOctets < windowOctets / 2 && !channel.isWriting
    if (sent === index || (sent < commands.length && isRoomy)) {
      if (channel.isWriting) await channel.written()
      let text = ''
      do {
        const next = commands[sent++] as GroupedCommand
        channel.show('client', next.line)
        text += `${next.line}\r\n`
        waitingOctets += next.line.length
      } while (sent < commands.length && waitingOctets < windowOctets)
      void channel.write(joined(text, sent === commands.length ? tail : EMPTY))
    }
    const reply = await channel.reply(stage, ms)
    waitingOctets -= line.length
    took(reply, index)
    if (!channel.isOpen) return
  }
}

function joined(text: string, tail: Uint8Array): Uint8Array {
  const lines = encoder.encode(text)
  if (tail.length === 0) return lines
  const bytes = new Uint8Array(lines.length + tail.length)
  bytes.set(lines)
  bytes.set(tail, lines.length)
  return bytes
}
