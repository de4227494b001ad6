/** R2 as workerd runs it on this machine, with many empty buckets. */
import { Miniflare } from 'miniflare'

/** Why Node's memory says nothing about a store that Node reaches through miniflare. */
export const PROXIED = 'Node reaches it through miniflare, which holds its own copies'

/** Why Node does not send 100 MiB to a store that it reaches through miniflare. */
export const SENT_BY_WORKER = 'miniflare is too slow for so many bytes from Node, so a Worker sends them'

/** More buckets than the stores that one run makes. */
const BUCKETS = 200

/** @param contents The module of the Worker that has the buckets */
export async function withBuckets(
  contents: string = 'export default { fetch: () => new Response() }',
): Promise<Miniflare> {
  const names = Array.from({ length: BUCKETS }, (_, index) => `B${index}`)
  const miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: 'buckets',
          compatibilityDate: '2026-11-01',
          compatibilityFlags: ['nodejs_compat'],
          env: Object.fromEntries(names.map((name) => [name, { type: 'r2', name: name.toLowerCase() }])),
          manifest: { mainModule: 'worker.js', modulesRoot: '/', modules: { 'worker.js': { type: 'esm', contents } } },
        },
      },
    ],
  })
  await miniflare.ready
  return miniflare
}
