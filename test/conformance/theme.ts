/** Runs the vectors of one theme as tests, over real sockets. `test/contract/engine.test.ts` plays every cut in memory. */
import { afterAll, describe, test } from 'vitest'
import type { Profile } from './recorder.ts'
import { Service } from './service.ts'
import { someCuts } from './some-cuts.ts'
import { play, type Stage, type Vector } from './vector.ts'

/** Servers by profile, so that vectors of one kind share one. */
class Services implements Stage {
  readonly #services = new Map<string, Promise<Service>>()

  async seat(profile: Profile, before: readonly string[]): ReturnType<Stage['seat']> {
    const service = await this.#for(profile)
    const client = await service.at(before)
    return { client, record: service.record(client) }
  }

  #for(profile: Profile): Promise<Service> {
    const key = JSON.stringify(profile)
    let service = this.#services.get(key)
    if (service === undefined) {
      service = Service.start(profile)
      this.#services.set(key, service)
    }
    return service
  }

  async close(): Promise<void> {
    await Promise.all([...this.#services.values()].map(async (service) => (await service).close()))
  }
}

export function testVectors(vectors: readonly Vector[]): void {
  const services = new Services()
  afterAll(() => services.close())
  for (const [row, ofRow] of Map.groupBy(vectors, (vector) => vector.row)) {
    describe(row, () => {
      for (const vector of ofRow) test(vector.name, () => play(vector, services, someCuts))
    })
  }
}
