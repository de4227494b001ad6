/**
 * Names of packs: `.pack-` and a stem that no other process makes. They begin with a dot, as no key does. A second
 * name, which ends in `.end`, says that a sweep is about to remove the pack. A process that writes to it then begins
 * another pack.
 */
const NAME = /^\.pack-([0-9a-z-]{1,80})(\.end)?$/

export function packName(stem: string): string {
  return `.pack-${stem}`
}

export function endName(stem: string): string {
  return `.pack-${stem}.end`
}

/** Returns the stem of a pack, from one of its names; undefined if it is not the name of a pack. */
export function stemOf(name: string): string | undefined {
  return NAME.exec(name)?.[1]
}
