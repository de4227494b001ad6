/** What is asked for on a command line, by any part of its name. */

/** Those that are called so, or else have it in their name. All of them where nothing is asked for. */
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
