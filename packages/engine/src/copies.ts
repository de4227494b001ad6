/**
 * Makes classes known to every copy of a package.
 *
 * A program may load a package twice, for example beside a config file and inside `postern`. Each copy has its own classes. So without
 * this file, `instanceof` of one copy would be false for an object of the other copy.
 */

/**
 * Makes `instanceof` true for objects that another copy made.
 *
 * @param name A name that is the same in all copies, and that no other class has
 */
export function acrossCopies(type: abstract new (...args: never[]) => object, name: string): void {
  const brand = brandOf(name)
  Object.defineProperty(type.prototype, brand, { value: true })
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      // A subclass inherits this function. For a subclass, only its own instances count.
      return this === type ? isBranded(value, brand) : Function.prototype[Symbol.hasInstance].call(this, value)
    },
  })
}

/** Returns the mark that all copies put on the objects of a class. */
export function brandOf(name: string): symbol {
  return Symbol.for(`postern.${name}`)
}

export function isBranded(value: unknown, brand: symbol): boolean {
  return (value as Record<symbol, unknown> | null | undefined)?.[brand] === true
}
