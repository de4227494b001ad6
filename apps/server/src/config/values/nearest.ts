/** Finds the known word that the user may have meant. */

/** Returns `; did you mean …?` with the nearest word, or '' if no word is near. */
export function nearest(word: string, known: readonly string[]): string {
  let best = ''
  let bestDistance = Math.ceil(word.length / 4) + 1
  for (const candidate of known) {
    const distance = distanceBetween(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best === '' ? '' : `; did you mean ${best}?`
}

/** Counts the letters to add, remove, change, or swap with the next one (optimal string alignment distance). */
function distanceBetween(one: string, other: string): number {
  let beforeLast: number[] = []
  let previous = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const change = one[row - 1] === other[column - 1] ? 0 : 1
      const changed = (previous[column - 1] ?? 0) + change
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      const swapped = isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Infinity
      current.push(Math.min(changed, swapped, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    beforeLast = previous
    previous = current
  }
  return previous[other.length] ?? 0
}
