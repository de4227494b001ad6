/** Sends commands in a group, if the server offers PIPELINING (RFC 2920), and makes errors of replies that refuse. */
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import type { Channel } from './channel.ts'
import { ClientError, type ClientStage } from './error.ts'

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

export interface Group {
  readonly commands: readonly GroupedCommand[]
  /** Without it, each command waits for the reply to the one before. */
  readonly isPipelining: boolean
  /** Goes into the same write as the last command. */
  readonly tail: readonly Uint8Array[]
  /** Says that the last command and the tail are about to be sent. */
  last(): void
  /** Gets each reply in order. */
  took(reply: ServerReply, command: GroupedCommand): void
}

/** Sends commands, and reads the reply to each. Stops after a 421. @throws ClientError */
export async function sendGroup(channel: Channel, group: Group): Promise<void> {
  const { commands, isPipelining, tail } = group
  let sent = 0
  let waitingOctets = 0
  const windowOctets = isPipelining ? WINDOW_OCTETS : 0
  for (const [index, command] of commands.entries()) {
    const { line, stage, ms } = command
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
      const isLast = sent === commands.length
      if (isLast) group.last()
      void channel.write(joined(text, isLast ? tail : []))
    }
    const reply = await channel.reply(stage, ms)
    waitingOctets -= line.length
    group.took(reply, command)
    if (!channel.isOpen) return
  }
}

function joined(text: string, tail: readonly Uint8Array[]): Uint8Array {
  const lines = encoder.encode(text)
  if (tail.length === 0) return lines
  const bytes = new Uint8Array(tail.reduce((sum, { length }) => sum + length, lines.length))
  bytes.set(lines)
  let used = lines.length
  for (const piece of tail) {
    bytes.set(piece, used)
    used += piece.length
  }
  return bytes
}

/** Makes the error for a reply that says no, or for one whose code is not among those that answer the command. */
export function refusal(channel: Channel, stage: ClientStage, reply: ServerReply): ClientError {
  if (reply.code >= 400)
    return new ClientError(`the server refused: ${replyText(reply)}`, { reason: 'refused', stage, reply })
  channel.stage = stage
  return channel.fail('protocol', `the server answered with a wrong code: ${replyText(reply)}`)
}
