/** A part of the report. */
import type { Bench } from './bench.ts'

export interface Section {
  readonly name: string
  readonly title: string
  run(bench: Bench): Promise<Findings>
}

export interface Findings {
  /** The text below the section's title. */
  readonly markdown: string
  /** The data for a chart. */
  readonly bars?: { readonly title: string; readonly bars: readonly Bar[] }
}

export interface Bar {
  readonly name: string
  readonly value: number
}
