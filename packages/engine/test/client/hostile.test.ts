/** Runs the scripts of servers that break rules, close or hang at every stage. */
import { ClientError, openClient } from '@postern/engine/client'
import { expect, test } from 'vitest'
import { MESSAGE, type Row, ROWS } from './hostile-rows.ts'
import { scripted } from './scripted.ts'

/** A message that is longer than what the connection holds. */
function* longMessage(): Generator<Uint8Array> {
  yield new TextEncoder().encode('Subject: x\r\n\r\n')
  for (let i = 0; i < 10; i++) yield new Uint8Array(60_000).fill(97)
}

async function fateOf({ script, options, streams }: Row): Promise<{ fate: string; received: string }> {
  const { duplex, received } = scripted(script)
  const words: string[] = []
  const envelope = { reversePath: 'a@x.example', forwardPaths: ['b@y.example', 'c@y.example'] }
  try {
    const client = await openClient(duplex, { hostname: 'client.example.com', ...options })
    const { recipients } = await client.send(envelope, streams ? longMessage() : MESSAGE)
    words.push(...recipients.map(({ address, stage, reply }) => `${address[0]}:${stage}:${reply.code}`))
    client.destroy()
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    words.push(error.reason, error.stage)
    if (error.code !== undefined) words.push(String(error.code))
    if (error.isTemporary) words.push('temporary')
    if (error.mayBeAccepted) words.push('maybe-accepted')
    words.push(...error.recipients.map(({ address, stage, reply }) => `${address[0]}:${stage}:${reply.code}`))
    duplex.destroy()
  }
  return { fate: words.join(' '), received: await received }
}

test.each(ROWS)('a server that $name', async (row) => {
  const { fate, received } = await fateOf(row)
  expect(fate).toBe(row.becomes)
  if (row.sent !== undefined) expect(row.sent === '' ? received : received.slice(-row.sent.length)).toBe(row.sent)
})
