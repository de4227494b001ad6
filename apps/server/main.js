#!/usr/bin/env node
/**
 * The command `postern`. It is JavaScript for two reasons. A Node that is too old can run it, and prints what is needed. And if Node meets a
 * TypeScript file that is not in the compile cache, it loads the code that strips types, which takes a third of the start time. So this file
 * turns the cache on.
 *
 * `#main` is the program (package.json): TypeScript in the workspace, JavaScript in the published package.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 12)) needs('22.12 or newer')
else {
  const { default: module } = await import('node:module')
  // The folder of src/host/compiled.ts. Deno has no such function, and keeps compiled code by itself.
  module.enableCompileCache?.(`${import.meta.dirname}/node_modules/.cache/compiled`)
  await import('#main').catch((error) => {
    if (error.code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error
    needs('22.18 or newer to run from its sources')
  })
}

/** @param {string} what */
function needs(what) {
  console.error(`postern needs Node.js ${what}; this is Node.js ${process.versions.node}`)
  process.exitCode = 2
}
