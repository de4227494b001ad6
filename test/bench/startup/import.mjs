/** How long a module takes to load, in a fresh process: one line of JSON. No TypeScript, which Node would have to load a part for. */
const [, , what] = process.argv
const start = performance.now()
await import(what)
const milliseconds = performance.now() - start
process.stdout.write(`${JSON.stringify({ milliseconds })}\n`)
