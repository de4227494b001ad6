/** What a resolver makes of each kind of answer. */
import { absent, type DnsCheck, expectAnswer, expectEqual, expectFailure, found } from './check.ts'
import { EVIL, LONG_STRINGS, LONG_TEXT, MANY, TLSA_DATA } from './values.ts'

const decoder = new TextDecoder()

export const answers: readonly DnsCheck[] = [
  {
    name: 'addresses of both kinds are in one form, with the least TTL',
    async run({ make }, own) {
      const options = { ttlSeconds: 200 }
      await expectAnswer(make().resolve(`host.${own}`, 'A'), found(`host.${own}`, ['192.0.2.1', '192.0.2.2'], options))
      const addresses = ['2001:db8::1', '::ffff:192.0.2.3']
      await expectAnswer(make().resolve(`host.${own}`, 'AAAA'), found(`host.${own}`, addresses))
    },
  },
  {
    name: 'a name is the same in capitals, and with a dot at the end',
    async run({ make }, own) {
      const answer = make().resolve(`HOST.${own.toUpperCase()}.`, 'A')
      await expectAnswer(answer, found(`host.${own}`, ['192.0.2.1', '192.0.2.2'], { ttlSeconds: 200 }))
    },
  },
  {
    name: 'a name with U-labels is asked for with A-labels',
    async run({ make }, own) {
      const records = ['192.0.2.1', '192.0.2.2']
      const answer = make().resolve(`host.bücher.${own}`, 'A')
      await expectAnswer(answer, found(`host.xn--bcher-kva.${own}`, records, { ttlSeconds: 200 }))
    },
  },
  {
    name: 'a text that cannot be a name does not exist, and no server is asked',
    async run({ make }, own) {
      const resolver = make()
      const label = 'x'.repeat(64)
      const texts = ['', '.', `a..${own}`, `a b.${own}`, `a\0.${own}`, `${label}.${own}`, `x%70.ü@${own}`, `a.\n${own}`]
      for (const text of [...texts, 'abcdefg.'.repeat(32), 'x'.repeat(100_000)]) {
        await expectAnswer(resolver.resolve(text, 'A'), absent('nxdomain', 0))
      }
      expectEqual(resolver.counts.asked, 0, 'questions')
    },
  },
  {
    name: 'a text keeps its strings, and a character that two of them share',
    async run({ make }, own) {
      const strings = LONG_STRINGS.map((string) => decoder.decode(string))
      const spf = { strings: ['v=spf1 -all'], text: 'v=spf1 -all' }
      await expectAnswer(
        make().resolve(`text.${own}`, 'TXT'),
        found<'TXT'>(`text.${own}`, [{ strings, text: LONG_TEXT }, spf]),
      )
    },
  },
  {
    name: 'mail exchangers come by preference',
    async run({ make }, own) {
      const exchanges = [
        { preference: 10, exchange: 'first.example' },
        { preference: 20, exchange: 'second.example' },
        { preference: 30, exchange: 'third.example' },
      ]
      await expectAnswer(make().resolve(`mail.${own}`, 'MX'), found<'MX'>(`mail.${own}`, exchanges))
    },
  },
  {
    name: 'a null MX has the root as its exchange',
    async run({ make }, own) {
      const exchanges = [{ preference: 0, exchange: '' }]
      await expectAnswer(make().resolve(`no-mail.${own}`, 'MX'), found<'MX'>(`no-mail.${own}`, exchanges))
    },
  },
  {
    name: 'a TLSA record keeps its octets, and the AD bit is told',
    async run({ make }, own) {
      const name = `_25._tcp.tlsa.${own}`
      const record = { usage: 3, selector: 1, matchingType: 1, data: TLSA_DATA }
      await expectAnswer(make().resolve(name, 'TLSA'), found<'TLSA'>(name, [record], { isAuthentic: true }))
    },
  },
  {
    name: 'names of hosts, servers and CNAMEs are in small letters',
    async run({ make }, own) {
      for (const type of ['PTR', 'NS', 'CNAME'] as const) {
        await expectAnswer(make().resolve(`names.${own}`, type), found(`names.${own}`, ['ns1.example']))
      }
    },
  },
  {
    name: 'a SOA record has its times',
    async run({ make }, own) {
      const times = { refreshSeconds: 8, retrySeconds: 9, expireSeconds: 10, minimumSeconds: 60 }
      const record = { primary: 'ns.example', mailbox: 'hostmaster.example', serial: 7, ...times }
      await expectAnswer(make().resolve(`soa.${own}`, 'SOA'), found<'SOA'>(`soa.${own}`, [record]))
    },
  },
  {
    name: 'a name without such records is told from one that does not exist, each with the TTL of RFC 2308',
    async run({ make }, own) {
      await expectAnswer(make().resolve(`nodata.${own}`, 'A'), absent('nodata', 30))
      await expectAnswer(make().resolve(`nodata-long.${own}`, 'A'), absent('nodata', 45))
      await expectAnswer(make().resolve(`nodata-bare.${own}`, 'A'), absent('nodata', 0))
      await expectAnswer(make().resolve(`nxdomain.${own}`, 'A'), absent('nxdomain', 45))
    },
  },
  {
    name: 'a server that fails, refuses or only refers to others is a failure, and is asked once',
    async run({ make }, own) {
      const reasons = { servfail: 'servfail', refused: 'refused', lame: 'lame' }
      for (const [scene, reason] of Object.entries(reasons)) {
        const resolver = make()
        await expectFailure(resolver.resolve(`${scene}.${own}`, 'A'), reason)
        expectEqual(resolver.counts.asked, 1, 'questions')
      }
    },
  },
  {
    name: 'a server that does not know EDNS is asked without it, for a while',
    async run({ make }, own) {
      for (const scene of ['no-edns', 'no-edns-bare', 'no-edns-tcp']) {
        let now = 0
        const resolver = make({ dnssec: true, now: () => now })
        await expectAnswer(resolver.resolve(`${scene}.${own}`, 'A'), found(`${scene}.${own}`, ['192.0.2.1']))
        expectEqual(resolver.counts.asked, 2, 'questions')
        for (const [name, atMs, text] of [
          ['at-once', 0, '0 RD AD'],
          ['later', 15 * 60_000 - 1, '0 RD AD'],
          ['much-later', 15 * 60_000, '1232 RD AD DO'],
        ] as const) {
          now = atMs
          const queried = `query.${name}.${scene}.${own}`
          await expectAnswer(resolver.resolve(queried, 'TXT'), found<'TXT'>(queried, [{ strings: [text], text }]))
        }
      }
    },
  },
  {
    name: 'a server that refuses queries without EDNS too is a failure, and is asked with it again',
    async run({ make }, own) {
      const resolver = make()
      await expectFailure(resolver.resolve(`notimp.${own}`, 'A'), 'servfail')
      expectEqual(resolver.counts.asked, 2, 'questions')
      const text = '1232 RD AD'
      const answer = resolver.resolve(`query.again.${own}`, 'TXT')
      await expectAnswer(answer, found<'TXT'>(`query.again.${own}`, [{ strings: [text], text }]))
      // The server did not say that it answers this question.
      const bare = make({ attempts: 1, attemptTimeoutMs: 300 }).resolve(`bare-always.${own}`, 'A')
      await expectFailure(bare, 'malformed', 'timeout')
    },
  },
  {
    name: 'the next server is asked if one fails',
    async run({ make, nobody, upstream }, own) {
      // The first one refuses every other name.
      const refusing = { ...upstream, ask: asking('refused', upstream) }
      for (const first of [refusing, nobody]) {
        const resolver = make({ upstreams: [first, upstream], attemptTimeoutMs: first === nobody ? 1_000 : 60_000 })
        const answer = resolver.resolve(`host.${own}`, 'A')
        await expectAnswer(answer, found(`host.${own}`, ['192.0.2.1', '192.0.2.2'], { ttlSeconds: 200 }))
      }
    },
  },
  {
    name: 'an answer that is too long for a datagram is complete',
    async run({ make }, own) {
      await expectAnswer(make().resolve(`large.${own}`, 'A'), found(`large.${own}`, MANY))
      await expectAnswer(make().resolve(`large-cut.${own}`, 'A'), found(`large-cut.${own}`, MANY))
    },
  },
  {
    name: 'CNAMEs in one answer are followed in any order, and the least TTL counts',
    async run({ make }, own) {
      const answer = make().resolve(`chain.${own}`, 'A')
      await expectAnswer(answer, found(`three.${own}`, ['192.0.2.1'], { ttlSeconds: 40 }))
    },
  },
  {
    name: 'a CNAME whose end the server leaves out is asked for',
    async run({ make }, own) {
      const resolver = make()
      const answer = resolver.resolve(`apart.${own}`, 'A')
      await expectAnswer(answer, found(`host.${own}`, ['192.0.2.1', '192.0.2.2'], { ttlSeconds: 40 }))
      expectEqual(resolver.counts.asked, 2, 'questions')
    },
  },
  {
    name: 'a CNAME may end where there is nothing',
    async run({ make }, own) {
      await expectAnswer(make().resolve(`to-nxdomain.${own}`, 'A'), absent('nxdomain', 20))
      await expectAnswer(make().resolve(`to-nodata.${own}`, 'A'), absent('nodata', 45))
    },
  },
  {
    name: 'CNAMEs that lead to each other are a failure',
    async run({ make }, own) {
      await expectFailure(make().resolve(`loop.${own}`, 'A'), 'loop')
      const resolver = make()
      await expectFailure(resolver.resolve(`loop-apart.${own}`, 'A'), 'loop')
      expectEqual(resolver.counts.asked, 2, 'questions')
    },
  },
  {
    name: 'a CNAME to what is no name is a failure',
    run: ({ make }, own) => expectFailure(make().resolve(`no-name.${own}`, 'A'), 'malformed'),
  },
  {
    name: 'the AD bit of an address is told',
    run: ({ make }, own) =>
      expectAnswer(
        make().resolve(`authentic.${own}`, 'A'),
        found(`authentic.${own}`, ['192.0.2.1'], { isAuthentic: true }),
      ),
  },
  {
    name: 'a query asks for recursion, for the AD bit and for short datagrams, and for signatures if that is wished',
    async run({ make }, own) {
      for (const [dnssec, text] of [
        [false, '1232 RD AD'],
        [true, '1232 RD AD DO'],
      ] as const) {
        const answer = make({ dnssec }).resolve(`query.${own}`, 'TXT')
        await expectAnswer(answer, found<'TXT'>(`query.${own}`, [{ strings: [text], text }]))
      }
    },
  },
  {
    name: 'the answer to another question is not used',
    over: 'HTTPS',
    async run({ make }, own) {
      await expectFailure(make({ attempts: 1 }).resolve(`other-question.${own}`, 'A'), 'malformed')
    },
  },
  {
    name: 'an answer that a cache between has kept has less time to live',
    over: 'HTTPS',
    async run({ make }, own) {
      const age = found(`age.${own}`, ['192.0.2.1'], { ttlSeconds: 200 })
      await expectAnswer(make().resolve(`age.${own}`, 'A'), age)
      const aged = found(`aged.${own}`, ['192.0.2.1'], { ttlSeconds: 0 })
      await expectAnswer(make().resolve(`aged.${own}`, 'A'), aged)
    },
  },
  {
    name: 'an HTTP error, a redirection and another media type are failures',
    over: 'HTTPS',
    async run({ make }, own) {
      await expectFailure(make().resolve(`status.${own}`, 'A'), 'servfail')
      await expectFailure(make().resolve(`redirect.${own}`, 'A'), 'servfail')
      await expectFailure(make({ attempts: 1 }).resolve(`media-type.${own}`, 'A'), 'malformed')
    },
  },
  {
    name: 'forged datagrams are ignored and counted',
    over: 'UDP',
    async run({ make }, own) {
      const forged = { 'forged-id': 3, 'forged-port': 1, 'forged-question': 1, 'forged-query': 1 }
      for (const [scene, count] of Object.entries(forged)) {
        const resolver = make()
        await expectAnswer(resolver.resolve(`${scene}.${own}`, 'A'), found(`${scene}.${own}`, ['192.0.2.1']))
        // A system that knows the server's port drops what comes from another.
        if (scene !== 'forged-port') expectEqual(resolver.counts.ignored, count, `ignored of ${scene}`)
        else if (resolver.counts.ignored > count) throw new Error(`${resolver.counts.ignored} ignored`)
      }
    },
  },
  {
    name: 'after many forged datagrams the server is asked over TCP',
    over: 'UDP',
    async run({ make }, own) {
      const resolver = make()
      await expectAnswer(resolver.resolve(`forged-many.${own}`, 'A'), found(`forged-many.${own}`, ['192.0.2.1']))
      expectEqual(resolver.counts.ignored, 10, 'ignored')
    },
  },
  {
    name: 'an answer in other letter case is not trusted, and the server is asked over TCP',
    over: 'UDP',
    async run({ make }, own) {
      // Half of all letters are capitals, so no query of this length is in small letters by chance.
      const name = `small-letters.${'abcdefghij'.repeat(5)}.${own}`
      await expectAnswer(make().resolve(name, 'A'), found(name, ['192.0.2.1']))
    },
  },
  {
    name: 'no answer has an address that only forged answers have',
    async run({ make }, own) {
      const answer = await make().resolve(`chain.${own}`, 'A')
      if (JSON.stringify(answer).includes(EVIL)) throw new Error('it has')
    },
  },
]

/** Makes a server that answers each question as if it were for another scene. */
function asking(scene: string, upstream: { ask: DnsAsk }): DnsAsk {
  return (question, options) => upstream.ask({ ...question, name: question.name.replace(/^[^.]+/, scene) }, options)
}

type DnsAsk = Parameters<DnsCheck['run']>[0]['upstream']['ask']
