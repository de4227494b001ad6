/** Lets esbuild bundle CommonJS packages for workerd. */
import type { Plugin } from 'esbuild'

/** Gives them `buffer`, which workerd has only for `import`. Wrangler does the same. */
export const NODE_BUFFER: Plugin = {
  name: 'node:buffer',
  setup(build) {
    build.onResolve({ filter: /^buffer$/ }, () => ({ path: 'buffer', namespace: 'node' }))
    build.onLoad({ filter: /^buffer$/, namespace: 'node' }, () => ({ contents: `export * from 'node:buffer'` }))
  },
}
