/** A `data` hook reads the parts of a message while it arrives, and its attachments before its end. */
import { createHash, randomBytes } from 'node:crypto'
import { createTransport } from 'nodemailer'
import { expect, test } from 'vitest'
import { createServer, reply } from '@postern/engine'
import { parts } from '@postern/mail'
import { listen } from '@postern/runtime/node'

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('a hook gets each attachment whole, by bytes() and by stream(), before the message ends', async () => {
  const files = [3_000_000, 70_000, 1, 3_000_000].map((size) => randomBytes(size))
  const found: { name: string | undefined; digest: string; isEarly: boolean }[] = []
  let text = ''
  const server = createServer({
    hostname: 'mx.example.com',
    async data(message) {
      for await (const part of parts(message.body)) {
        if (part.type === 'text/plain' && part.disposition === undefined) text = await part.text()
        if (part.disposition !== 'attachment') continue
        const isByStream = found.length % 2 === 1
        const bytes = isByStream ? await new Response(part.stream()).bytes() : await part.bytes()
        const { fileName: name } = part
        found.push({ name, digest: sha256Of(bytes), isEarly: message.size < 5_000_000 })
      }
      return reply(250, '2.0.0', 'OK')
    },
  })
  const listener = await listen(server, { port: 0, host: '127.0.0.1' })
  const transport = createTransport({ host: '127.0.0.1', port: listener.address.port, ignoreTLS: true })
  await transport.sendMail({
    from: 'ann@example.org',
    to: 'bob@example.com',
    text: 'Grüße',
    attachments: files.map((content, i) => ({ filename: `Datei ${i} ä.bin`, content })),
  })
  transport.close()
  await listener.close()
  await server.close({ graceMs: 0 })
  expect(text.trim()).toBe('Grüße')
  expect(found.map(({ name, digest }) => [name, digest])).toEqual(
    files.map((file, i) => [`Datei ${i} ä.bin`, sha256Of(file)]),
  )
  // Nothing of the last one had come when the first one was read.
  expect(found.map(({ isEarly }) => isEarly)).toEqual([true, true, true, false])
})
