/** How long the engine takes to load, in a fresh process: one line of JSON. */
const start = performance.now()
await import('@postern/engine')
const milliseconds = performance.now() - start
process.stdout.write(`${JSON.stringify({ milliseconds })}\n`)
