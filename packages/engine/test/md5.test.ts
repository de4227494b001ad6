import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hmacMd5, md5 } from '../src/sasl/md5.ts'

test('md5 gives the digest that another implementation gives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      expect(Buffer.from(md5(octets))).toEqual(createHash('md5').update(octets).digest())
    }),
  )
})

test('hmacMd5 gives the code that another implementation gives, also for keys longer than a block', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 150 }), fc.uint8Array({ maxLength: 200 }), (key, octets) => {
      expect(Buffer.from(hmacMd5(key, octets))).toEqual(createHmac('md5', key).update(octets).digest())
    }),
  )
})
