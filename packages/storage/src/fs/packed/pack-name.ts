/**
 * Names of packs: `.pack-` and a stem that nobody else makes. They begin with a dot, as no key does. A second name, with
 * `.end` behind it, says that a sweep is about to remove the pack: whoever still writes to it has to begin another.
 */
const NAME = /^\.pack-([0-9a-z-]{1,80})(\.end)?$/

export function packName(stem: string): string {
  return `.pack-${stem}`
}

export function endName(stem: string): string {
  return `.pack-${stem}.end`
}

/** The stem of a pack, by one of its names; undefined for what is no pack. */
export function stemOf(name: string): string | undefined {
  return NAME.exec(name)?.[1]
}
