// Everything that somebody needs who writes a bot for Troupe with Node: README.md begins
// at nothing, index.d.ts says what there is.
export { serve } from './serve.mjs'
export { Runner } from './runner.mjs'
export { BotError, drop, retryIn, codeOf } from './errors.mjs'
export { Card } from './card.mjs'
