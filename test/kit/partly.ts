/** Declares a part of the tests of a file: of tests that follow one another, each run looks at every second, third … one. */
import { chance, isThorough } from './sample.ts'

/**
 * Returns the same function that declares a test, except that it declares one in so many tests. The seed says with which one it begins. So a
 * `describe` with as many tests is never empty. With THOROUGH=1 it declares all.
 *
 * `each`, `concurrent` and what else belongs to `test` are not changed.
 */
export function partly<F extends (...args: never[]) => unknown>(declare: F, oneIn: number = 2): F {
  let count = chance(oneIn).below(oneIn)
  return new Proxy(declare, {
    apply: (target, self, args) =>
      isThorough || count++ % oneIn === 0 ? (Reflect.apply(target, self, args) as unknown) : undefined,
  })
}
