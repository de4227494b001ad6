/** Finds items that the command line names by any part of their names. */

/** Returns the items with this name, or else those that have it in their name. Returns all if no name is given. */
export function named<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  parts: readonly string[] = [],
): readonly T[] {
  if (parts.length === 0) return all
  const chosen = new Set<T>()
  for (const part of parts) {
    const exact = all.filter(({ name }) => name === part)
    const found = exact.length > 0 ? exact : all.filter(({ name }) => name.includes(part))
    const names = all.map(({ name }) => name).join(', ')
    if (found.length === 0) throw new Error(`${part}: no ${what} has that in its name; there are ${names}`)
    for (const one of found) chosen.add(one)
  }
  return all.filter((one) => chosen.has(one))
}
