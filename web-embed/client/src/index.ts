export type * from './api.js'
export { TroupeError } from './error.js'
