/** Verifies the messages of a job, which is a file, on the runtime that runs this. Or measures the memory that a large message takes. */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { createVerifier } from '@postern/mail/trust'
import { type Job, originOf, run } from './job.ts'
import { textZone, zoneResolver } from './zone.ts'

const MiB = 1024 * 1024

/** Returns by how many octets the process grows while it verifies a message of `size` octets. */
async function growth(
  size: number,
  line: string,
  zone: Readonly<Record<string, string>>,
  field: string,
): Promise<number> {
  const verifier = createVerifier({ resolver: zoneResolver(textZone(zone)), hostname: 'mx.receiver.example' })
  const chunk = Buffer.alloc(65_536, line)
  const memory = (): number => process.memoryUsage().rss
  let most = 0
  const verify = async (octets: number): Promise<void> => {
    const verification = verifier.begin(originOf('192.0.2.1', 'a.example', ''))
    verification.update(Buffer.from(`${field}From: ann@sender.example\r\nSubject: large\r\n\r\n`))
    for (let sent = 0; sent < octets; sent += chunk.length) {
      verification.update(chunk)
      if (sent % MiB === 0) {
        most = Math.max(most, memory())
        await new Promise((next) => {
          setTimeout(next)
        })
      }
    }
    const { dkim } = await verification.end()
    // The body was hashed. One of line ends alone is empty, as the signed one was.
    if (dkim?.[0]?.reason !== 'body' && dkim?.[0]?.result !== 'pass') throw new Error(JSON.stringify(dkim))
  }
  // Lets the runtime compile and grow first.
  await verify(size / 4)
  const before = memory()
  most = 0
  await verify(size)
  return most - before
}

const [what = '', ...args] = process.argv.slice(2)
const result =
  what === 'memory'
    ? await growth(
        Number(args[0]) * MiB,
        args[1] ?? '',
        JSON.parse(args[2] ?? '{}') as Record<string, string>,
        args[3] ?? '',
      )
    : await run(JSON.parse(readFileSync(what, 'utf8')) as Job)
process.stdout.write(JSON.stringify(result))
