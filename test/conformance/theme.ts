/** Runs the vectors of one theme as tests. */
import { afterAll, describe, test } from 'vitest'
import { Services, type Vector, play } from './vector.ts'

export function testVectors(vectors: readonly Vector[]): void {
  const services = new Services()
  afterAll(() => services.close())
  for (const [row, ofRow] of Map.groupBy(vectors, (vector) => vector.row)) {
    describe(row, () => {
      for (const vector of ofRow) test(vector.name, () => play(vector, services))
    })
  }
}
