/** How bytes are cut into the pieces that go to the socket one at a time. */
import { Random } from '../kit/random.ts'

/** In one piece, in pieces of so many octets, or of any size up to `most`, from a seed. */
export type Cut = 'whole' | number | { readonly seed: number; readonly most: number }

export const CUTS: readonly Cut[] = ['whole', 1, 7, 1_460, 65_536, { seed: 2, most: 40 }, { seed: 3, most: 100_000 }]

/** The most pieces of a message. Each is its own system call, and takes time. */
const MAX_PIECES = 40_000

export function* pieces(bytes: Buffer, cut: Cut): Generator<Buffer> {
  const random = typeof cut === 'object' ? new Random(cut.seed) : undefined
  for (let at = 0; at < bytes.length;) {
    const length = cut === 'whole' ? bytes.length : typeof cut === 'number' ? cut : random!.between(1, cut.most)
    yield bytes.subarray(at, at + length)
    at += length
  }
}

/** Returns whether the cut divides this many octets, and not into too many pieces. */
export function isUseful(octets: number, cut: Cut): boolean {
  if (cut === 'whole') return true
  const size = typeof cut === 'number' ? cut : 1
  const average = typeof cut === 'number' ? cut : cut.most / 2
  return octets > size && octets / average <= MAX_PIECES
}

export function cutName(cut: Cut): string {
  if (cut === 'whole') return 'whole'
  return typeof cut === 'number' ? `by ${cut}` : `by 1 to ${cut.most}, seed ${cut.seed}`
}
