/** Signs the messages of a job, which is a file, on the runtime that runs this. Or measures the memory that a large message takes. */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { createDkimSigner, generateKey, SigningKey } from '@postern/relay/signing'
import { type Job, run } from './job.ts'

const MiB = 1024 * 1024

/** Returns by how many octets the process grows while it signs a message of `size` octets. */
async function growth(size: number, line: string): Promise<number> {
  const key = new SigningKey(await generateKey('ed25519'), { domain: 'sender.example', selector: 'one' })
  const signer = createDkimSigner({ keys: [key] })
  const header = Buffer.from('From: ann@sender.example\r\nSubject: large\r\n\r\n')
  const chunk = Buffer.alloc(65_536, line)
  const memory = (): number => process.memoryUsage().rss
  let [before, most] = [0, 0]
  function* chunks(octets: number): Generator<Uint8Array> {
    yield header
    for (let sent = 0; sent < octets; sent += chunk.length) {
      most = Math.max(most, memory())
      yield chunk
    }
  }
  // Lets the runtime compile and grow first.
  await signer.sign(chunks(size / 4))
  ;[before, most] = [memory(), 0]
  const signature = await signer.sign(chunks(size))
  if (!signature.isSigned) throw new Error(signature.reason)
  return most - before
}

const [what = '', ...args] = process.argv.slice(2)
const result =
  what === 'memory'
    ? await growth(Number(args[0]) * MiB, args[1] ?? '')
    : await run(JSON.parse(readFileSync(what, 'utf8')) as Job)
process.stdout.write(JSON.stringify(result))
