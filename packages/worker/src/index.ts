/** @postern/worker: the parts of a Worker that receives mail. */
export type { Answer, RoutedEmail } from './email.ts'
export { takeEmail } from './email.ts'
export { errorText, log } from './log.ts'
export type { Peer } from './peer.ts'
export { endpointOf } from './peer.ts'
export { keepUp } from './upkeep.ts'
