/** A part of the report. */
import type { Bench } from './bench.ts'

export interface Section {
  readonly name: string
  readonly title: string
  run(bench: Bench): Promise<Findings>
}

export interface Findings {
  /** What stands below the section's title. */
  readonly markdown: string
  /** What a chart can show of it. */
  readonly bars?: { readonly title: string; readonly bars: readonly Bar[] }
}

export interface Bar {
  readonly name: string
  readonly value: number
}
