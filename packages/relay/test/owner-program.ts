/** Opens the queue at a path and says what it got. Then it stays. sqlite.test.ts runs it in each runtime. */
import process from 'node:process'
import type { Queue } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'

const [, , path = '', role = ''] = process.argv

/** A queue that nobody refers to is closed when its memory is collected, and then it has no owner. */
const opened: Queue[] = []

async function attempt(isOwner: boolean): Promise<string> {
  try {
    opened.push(await openSqliteQueue(path, { isOwner }))
    return 'opened'
  } catch (error) {
    return (error as Error).message
  }
}

console.log(`first: ${await attempt(role === 'owner')}.`)
if (role === 'owner') {
  // Neither another try nor somebody else in this process takes the lock away.
  console.log(`second: ${await attempt(true)}.`)
  const other = await openSqliteQueue(path, { isOwner: false })
  await other.list()
  await other.close()
  console.log('ready')
}
setInterval(() => void opened[0]?.nextDueAt(), 1_000)
