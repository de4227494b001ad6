/** A resolver whose answers are in a table. */
import type { Endpoint } from '@postern/engine'
import type { Answer, RecordType, ResolveOptions, Resolver } from '../src/names/index.ts'

export type { Answer, Endpoint }

export class FakeResolver implements Resolver {
  /** The questions: `A example.com`. */
  readonly asked: string[] = []
  readonly clients: (Endpoint | undefined)[] = []
  readonly #answers: Readonly<Record<string, Answer>>

  /** @param answers By question. A name that is not among them does not exist */
  constructor(answers: Readonly<Record<string, Answer>>) {
    this.#answers = answers
  }

  async resolve<Type extends RecordType>(
    name: string,
    type: Type,
    { client }: ResolveOptions = {},
  ): Promise<Answer<Type>> {
    const question = `${type} ${name}`
    this.asked.push(question)
    this.clients.push(client)
    return (this.#answers[question] ?? { status: 'nxdomain', ttlSeconds: 0, isAuthentic: false }) as Answer<Type>
  }
}
