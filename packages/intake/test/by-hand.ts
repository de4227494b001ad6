/** A runner of password checks that the test answers. */
import type { PasswordCheck } from '../src/accounts/password.ts'
import type { CheckRunner } from '../src/logins/threads.ts'

/** Runs checks when the test says so. */
export class ByHand implements CheckRunner {
  readonly maxAtOnce = 1
  readonly running: { readonly check: PasswordCheck; answer(isRight: boolean): void }[] = []
  run(asked: PasswordCheck): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.running.push({ check: asked, answer: resolve })
    return promise
  }
  close(): void {}
}
