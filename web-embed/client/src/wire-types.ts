/** The frames of the wire, as they are generated from troupe.proto. */
export type * from '../../../internal/protocol/troupe.js'
