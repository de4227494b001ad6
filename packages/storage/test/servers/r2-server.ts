/** Runs miniflare, which `wrangler dev` uses, with R2's S3 API alone. Ends when standard input ends. */
import { Miniflare } from 'miniflare'

const settings = JSON.parse(process.argv[2] as string) as {
  readonly buckets: readonly string[]
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
}
const dev = { experimentalS3Credentials: settings.credentials }
const miniflare = new Miniflare({
  workers: [
    {
      config: {
        name: 'buckets',
        compatibilityDate: '2026-11-01',
        env: Object.fromEntries(settings.buckets.map((name, index) => [`B${index}`, { type: 'r2', name, dev }])),
        manifest: {
          mainModule: 'worker.js',
          modulesRoot: '/',
          modules: { 'worker.js': { type: 'esm', contents: 'export default { fetch: () => new Response() }' } },
        },
      },
    },
  ],
})
const url = await miniflare.ready
process.stdin.resume().once('end', () => void miniflare.dispose())
process.stdout.write(`${url.origin}/cdn-cgi/local/r2/s3\n`)
