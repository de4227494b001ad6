/** A session in memory, with the server's bytes cut at each place in turn. */
import { createServer, type Duplex } from '@postern/engine'
import { openClient } from '@postern/engine/client'
import { pair } from '@postern/runtime/memory'
import { expectEqual, octets, recorded } from './check.ts'
import { contractServer, PASSWORD, USER } from './server.ts'

const MESSAGE = octets('Subject: cut\r\n\r\n.text\r\n')
const lingerMs = 500

export const CUTS = 'wherever the replies of the server are cut, the session is the same'

/** Returns the dialogue of a session with a login and a message. @param cutAt Two reads end and begin at this octet. */
async function dialogue(cutAt: number): Promise<{ lines: readonly string[]; octets: number }> {
  const server = createServer(contractServer())
  const [near, far] = pair({ lingerMs, startTls: true })
  void server.accept(near)
  const cut = new Cut(far, cutAt)
  const { lines, trace } = recorded()
  const client = await openClient(cut.duplex, {
    hostname: 'client.example',
    startTls: 'required',
    credentials: { username: USER, password: PASSWORD },
    mechanisms: ['LOGIN'],
    trace,
  })
  const to = ['bob@postern.example', 'nobody@postern.example']
  await client.send({ reversePath: 'ann@sender.example', forwardPaths: to }, MESSAGE)
  await client.quit()
  return { lines, octets: cut.octets }
}

/** @param choose Returns the places to cut at. Default: all. */
export async function checkCuts(
  choose: (places: readonly number[]) => readonly number[] = (places) => places,
): Promise<void> {
  const whole = await dialogue(0)
  for (const place of choose(Array.from({ length: whole.octets }, (_, at) => at))) {
    const { lines } = await dialogue(place)
    expectEqual(lines, whole.lines, `cut at ${place}`)
  }
}

/** A duplex whose reader gets the received octets in two parts. */
class Cut {
  /** How many were received. */
  octets = 0
  readonly duplex: Duplex
  readonly #cutAt: number
  #rest: Uint8Array | undefined

  constructor(inner: Duplex, cutAt: number) {
    this.#cutAt = cutAt
    const read = inner.read.bind(inner)
    inner.read = async () => {
      const rest = this.#rest
      this.#rest = undefined
      const bytes = rest ?? (await read())
      return bytes && this.#part(bytes)
    }
    this.duplex = inner
  }

  #part(bytes: Uint8Array): Uint8Array {
    const here = this.#cutAt - this.octets
    const part = here > 0 && here < bytes.length ? bytes.slice(0, here) : bytes
    if (part !== bytes) this.#rest = bytes.slice(here)
    this.octets += part.length
    return part
  }
}
