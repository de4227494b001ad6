/** Finds the line of a mistake in JSON. `JSON.parse` itself decides whether there is one. */
import { expect, test } from 'vitest'
import { jsonMistake } from '../src/config/file/json-mistake.ts'

test.each([
  ['{\n  "a": 1,\n}', 3, 'a key in double quotes'],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 'a comma, or the end of the object or list'],
  ['{\n  "a" 1\n}', 2, 'a colon'],
  ['{\n  "a": b\n}', 2, 'a value'],
  ['{\n  // a comment\n  "a": 1\n}', 2, 'a key in double quotes or }'],
  ["{ 'a': 1 }", 1, 'a key in double quotes or }'],
  ['[\n1,\n2,\n]', 4, 'a value'],
  ['[\n1\n}', 3, 'a comma, or the end of the object or list'],
  ['[\n,\n]', 2, 'a value or ]'],
  ['{\n  "a": "b\n"\n}', 2, 'a value'],
  ['{\n  "a": "\\x"\n}', 2, 'a value'],
  ['{\n  "a": 01\n}', 2, 'a comma, or the end of the object or list'],
  ['{\n  "a": [1, 2\n', 3, 'a comma, or the end of the object or list'],
  ['{}\n\n{}', 3, 'the end of the file'],
  ['1 2', 1, 'the end of the file'],
  ['', 1, 'a value'],
])('in %j it is in line %i', (text, line, allowed) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError)
  expect(jsonMistake(text)).toEqual({ line, allowed })
})

test.each(['{}', '[]', '{"a":[1,-2.5e3,true,false,null,"\\u00e4\\n",{"b":{}}]}', ' [ [ ] , { } ] '])(
  'in %j there is none, so only the end may follow',
  (text) => {
    JSON.parse(text)
    expect(jsonMistake(`${text}!`).allowed).toBe('the end of the file')
  },
)
