/** The middle of some figures, and how far they are spread. */

export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

export function least(figures: readonly number[]): number {
  return Math.min(...figures)
}

export function most(figures: readonly number[]): number {
  return Math.max(...figures)
}

/** Significant digits as a person wants them. */
export function shown(figure: number): string {
  if (!Number.isFinite(figure)) return '–'
  const size = Math.abs(figure)
  if (size >= 100) return Math.round(figure).toLocaleString('en-US')
  return figure.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
}
