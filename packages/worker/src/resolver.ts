/** A resolver for all requests of an isolate. */
import type { AnswerCache, Resolver } from '@postern/dns'

/** Asks these servers over HTTPS. It loads the resolver at the first question. */
export function resolverOverHttps(urls: readonly string[]): Resolver {
  let cache: AnswerCache | undefined
  return {
    async resolve(name, type, options) {
      const dns = await import('@postern/dns')
      cache ??= new dns.AnswerCache()
      const upstreams = urls.map((url) => dns.httpsUpstream(url))
      // Requests share what is kept, and nothing else: workerd forbids one to use a socket or a timer of another.
      return dns.createResolver({ upstreams, cache }).resolve(name, type, options)
    },
  }
}
