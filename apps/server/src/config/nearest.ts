/** The word that someone may have meant. */

/** `; did you mean …?` with the word that is nearest, or nothing where none is near. */
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

/** How many letters to add, drop or change (Levenshtein). */
function distanceBetween(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const change = one[row - 1] === other[column - 1] ? 0 : 1
      const changed = (previous[column - 1] ?? 0) + change
      current.push(Math.min(changed, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[other.length] ?? 0
}
