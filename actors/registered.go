package actors

import (
	"sync"

	cmap "github.com/orcaman/concurrent-map"
)

// oneShard makes protoactor's registry of actors a table of 1,024 maps, where it would be
// one of 32,768: each of its 1,024 has 32 shards otherwise, nearly all of them with one
// actor in room for eight. That is 2.8 MB less at the start and 190 bytes less for each
// actor, of which a connection has two. A thousand locks are enough for a few cores.
// protoactor alone uses the package.
var oneShard = sync.OnceFunc(func() { cmap.SHARD_COUNT = 1 })
