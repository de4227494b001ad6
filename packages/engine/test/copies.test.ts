/** Classes that every copy of a package knows. The hooks' tests have a real second copy of the engine. */
import { acrossCopies, MessageError, Refusal, reply } from '@postern/engine'
import { expect, test } from 'vitest'

class One extends Error {
  static {
    acrossCopies(this, 'test.Shared')
  }
}

/** The same class in another copy. */
class Other extends Error {
  static {
    acrossCopies(this, 'test.Shared')
  }
}

class Narrower extends One {}

test('an object of another copy is an instance', () => {
  expect(new Other() instanceof One).toBe(true)
  expect(new One() instanceof Other).toBe(true)
  expect(new Narrower() instanceof Other).toBe(true)
})

test('a subclass has only its own instances', () => {
  expect(new Narrower() instanceof Narrower).toBe(true)
  expect(new One() instanceof Narrower).toBe(false)
  expect(new Other() instanceof Narrower).toBe(false)
})

test('nothing else is an instance', () => {
  for (const value of [
    undefined,
    null,
    1,
    'x',
    {},
    new Error('x'),
    reply(250, '', 'OK'),
    new MessageError('aborted'),
  ]) {
    expect(value instanceof One).toBe(false)
    expect(value instanceof Refusal).toBe(false)
  }
})

test('the mark is not among the keys of an object', () => {
  const made = reply(250, '', 'OK')
  expect([...Object.getOwnPropertySymbols(made), ...Object.getOwnPropertySymbols(new Refusal(made))]).toEqual([])
})
