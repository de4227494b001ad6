/** Guards are asked in order, and the first refusal counts. */
import { type ForwardPath, type Handlers, isReply, reply, type Session, type Verdict } from '@postern/engine'
import { describe, expect, test } from 'vitest'
import { askGuards, type Guard } from '../src/guard.ts'
import { domainsGuard, parseDomain } from '../src/guards/index.ts'

const session = {} as Session
const NO = reply(550, '5.7.1', 'No')
const LATER = reply(451, '4.7.1', 'Later')
const FINE = reply(250, '2.1.5', 'Fine')

function to(domain: string): ForwardPath {
  return { address: `ann@${domain}`, localPart: 'ann', domain } as ForwardPath
}

/** A guard that notes in `asked` when it is asked. */
function answering(name: string, answer: Verdict | Promise<Verdict>, asked: string[]): Guard {
  return {
    name,
    rcpt() {
      asked.push(name)
      return answer
    },
  }
}

function ask(...guards: readonly Guard[]): Verdict | Promise<Verdict> {
  return askGuards(guards).rcpt?.(to('example.com'), session)
}

describe('guards', () => {
  test('the result has no hook that no guard has', () => {
    expect(Object.keys(askGuards([{ name: 'none' }, answering('one', NO, [])]))).toEqual(['rcpt'])
  })

  test('the first refusal counts, and nobody is asked after it', () => {
    const asked: string[] = []
    expect(ask(answering('a', FINE, asked), answering('b', LATER, asked), answering('c', NO, asked))).toBe(LATER)
    expect(asked).toEqual(['a', 'b'])
  })

  test('if nobody refuses, the first answer counts', () => {
    const other = reply(250, '2.1.5', 'Other')
    expect(ask(answering('a', undefined, []), answering('b', FINE, []), answering('c', other, []))).toBe(FINE)
    expect(ask(answering('a', undefined, []), answering('b', undefined, []))).toBeUndefined()
  })

  test('no promise is made if all guards answer at once', () => {
    expect(isReply(ask(answering('a', FINE, []), answering('b', undefined, [])))).toBe(true)
  })

  test('the promise of a library counts as one', async () => {
    // oxlint-disable-next-line unicorn/no-thenable
    const late = { then: (resolve: (answer: Verdict) => void) => resolve(NO) } as unknown as Promise<Verdict>
    const asked: string[] = []
    expect(await ask(answering('a', late, asked), answering('b', FINE, asked))).toBe(NO)
    expect(asked).toEqual(['a'])
  })

  test('the next guard is asked after a late guard has answered', async () => {
    const asked: string[] = []
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    const verdict = ask(answering('a', FINE, asked), answering('b', promise, asked), answering('c', NO, asked))
    expect(asked).toEqual(['a', 'b'])
    resolve(undefined)
    expect(await verdict).toBe(NO)
    expect(asked).toEqual(['a', 'b', 'c'])
    expect(await ask(answering('a', FINE, []), answering('b', Promise.resolve(undefined), []))).toBe(FINE)
    expect(await ask(answering('a', Promise.resolve(LATER), []), answering('b', NO, asked))).toBe(LATER)
    expect(asked).toHaveLength(3)
  })

  test('an error of a guard is thrown, and does not count as acceptance', async () => {
    const broken: Guard = {
      name: 'broken',
      rcpt() {
        throw new Error('broken')
      },
    }
    expect(() => ask(answering('a', FINE, []), broken)).toThrow('broken')
    const late = answering('late', Promise.reject(new Error('late')), [])
    await expect(ask(answering('a', FINE, []), late)).rejects.toThrow('late')
  })

  test('every guard is told of the end of a session, also if one of them fails', async () => {
    const told: string[] = []
    const telling = (name: string, fails: boolean): Guard => ({
      name,
      close() {
        told.push(name)
        if (fails) throw new Error(name)
      },
    })
    const { close }: Handlers = askGuards([telling('a', true), telling('b', false), telling('c', true)])
    await expect(close?.(session)).rejects.toThrow('a')
    expect(told).toEqual(['a', 'b', 'c'])
  })
})

describe('the guard of domains', () => {
  test.each([
    ['Example.COM', 'example.com'],
    ['*.example.org', '*.example.org'],
    ['*', '*'],
    ['localhost', 'localhost'],
    ['', undefined],
    ['*.', undefined],
    ['*.*.example.org', undefined],
    ['a*.example.org', undefined],
    ['ann@example.org', undefined],
    ['example.org.', 'example.org'],
    ['example.org..', undefined],
    ['[192.0.2.1]', undefined],
    ['exämple.org', 'xn--exmple-cua.org'],
    ['*.EXÄMPLE.org', '*.xn--exmple-cua.org'],
    ['ｅxample.org', undefined],
  ])('%j is read as %j', (text, expected) => {
    expect(parseDomain(text)).toBe(expected)
  })

  test.each([
    ['example.com', true],
    ['EXAMPLE.com', true],
    ['mx.example.com', false],
    ['example.org', false],
    ['mx.example.org', true],
    ['a.b.example.org', true],
    ['notexample.org', false],
    ['[192.0.2.1]', false],
    ['org', false],
    ['', true],
  ])('with example.com and *.example.org, %j is accepted: %s', (domain, isTaken) => {
    const guard = domainsGuard(['example.com', '*.example.org'])
    const answer = guard.rcpt(to(domain))
    expect(answer?.wire).toBe(isTaken ? undefined : '550 5.7.1 No mail is taken for this domain here\r\n')
  })

  test('a user hears that nothing is sent on, if nothing is', () => {
    const guard = domainsGuard(['example.com'])
    expect(guard.rcpt(to('example.net'), { user: 'ann' })?.wire).toMatch(/^550 5\.7\.1 This server sends nothing on: /)
  })

  test.each([
    ['bücher.example', true],
    ['BÜCHER.Example', true],
    ['xn--bcher-kva.example', true],
    ['XN--BCHER-KVA.EXAMPLE', true],
    ['mx.例え.example', true],
    ['mx.xn--r8jz45g.example', true],
    ['例え.example', false],
    ['bucher.example', false],
    // The Kelvin sign, fullwidth letters, a soft hyphen: look-alikes of a domain that the guard accepts.
    ['\u{212a}.example', false],
    ['ｋ.example', false],
    ['k\u{ad}.example', false],
    ['k.example', true],
  ])('with international domains, %j is accepted: %s', (domain, isTaken) => {
    const names = ['bücher.example', '*.例え.example', 'k.example'].map((name) => parseDomain(name) as string)
    expect(domainsGuard(names).rcpt(to(domain)) === undefined).toBe(isTaken)
  })

  test('* accepts every domain', () => {
    for (const domain of ['example.net', 'bücher.example', '[192.0.2.1]', '\u{212a}.example']) {
      expect(domainsGuard(['*']).rcpt(to(domain))).toBeUndefined()
    }
  })
})
