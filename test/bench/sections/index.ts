/** All sections, in the order of the report. */
import type { Section } from '../section.ts'
import { SHAPES } from '../shapes.ts'
import { durable } from './durable.ts'
import { growth } from './growth.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { allocation } from './allocation.ts'
import { senders } from './senders.ts'
import { startup } from './startup.ts'
import { throughput } from './throughput.ts'
import { workers } from './workers.ts'

export const SECTIONS: readonly Section[] = [
  ...SHAPES.map(throughput),
  durable,
  workers,
  idle,
  latency,
  growth,
  allocation,
  startup,
  senders,
]
