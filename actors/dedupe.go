package actors

import (
	"encoding/binary"
	"slices"
)

// window knows the messages that were sent in a session by their SentKey: the
// newest exactly, the older ones by a filter that may say "perhaps" of one that
// was never sent, and never "no" of one that was. So nearly every new message is
// known to be new without asking the store.
type window struct {
	recent map[[16]byte]*known
	order  []*known // of recent, oldest first
	older  filter
	// complete says that the filter holds every older message; while it is being
	// filled, "not in it" says nothing.
	complete bool
}

// known is a message by its client message id. While it is not durable, waiting
// is what will answer.
type known struct {
	key [16]byte
	Sent
	waiting *pending
}

// windowSize bounds the exact part. A client that repeats a message does so
// within seconds: 256 messages are more than a connection may have in flight.
const windowSize = 256

func newWindow() *window { return &window{recent: map[[16]byte]*known{}} }

// find gives what is known of key; perhaps says that only the store can tell.
func (w *window) find(key [16]byte) (k *known, perhaps bool) {
	if k := w.recent[key]; k != nil {
		return k, false
	}
	return nil, !w.complete || w.older.mayHold(key)
}

// add puts in what find did not find.
func (w *window) add(k *known) {
	w.recent[k.key] = k
	w.order = append(w.order, k)
	for len(w.order) > windowSize {
		oldest := w.order[0]
		if oldest.waiting != nil {
			return // not durable yet: the store could not tell
		}
		w.order[0], w.order = nil, w.order[1:]
		delete(w.recent, oldest.key)
		w.older.add(oldest.key)
	}
}

// forget takes back a message that did not become durable.
func (w *window) forget(k *known) {
	delete(w.recent, k.key)
	if i := slices.Index(w.order, k); i >= 0 {
		w.order = slices.Delete(w.order, i, i+1)
	}
}

// filter is a Bloom filter of 16 bits and 8 probes a key: (1-e^(-8/16))^8 = 1 in
// 1,700 keys asks the store in vain, per full layer. It grows by layers, each twice
// the size of the one before. The keys are hashes already.
type filter struct {
	layers []layer
}

type layer struct {
	bits []uint64
	room int // keys it still takes
}

const (
	bitsPerKey = 16
	probes     = 8
	firstLayer = 256 // keys
)

func (f *filter) add(key [16]byte) {
	if n := len(f.layers); n == 0 || f.layers[n-1].room == 0 {
		keys := firstLayer << n
		f.layers = append(f.layers, layer{bits: make([]uint64, keys*bitsPerKey/64), room: keys})
	}
	l := &f.layers[len(f.layers)-1]
	l.room--
	at, step := start(key)
	for range probes {
		*l.of(at) |= 1 << (at % 64)
		at += step
	}
}

func (f *filter) mayHold(key [16]byte) bool {
	for i := range f.layers {
		if f.layers[i].mayHold(key) {
			return true
		}
	}
	return false
}

func (l *layer) mayHold(key [16]byte) bool {
	at, step := start(key)
	for range probes {
		if *l.of(at)>>(at%64)&1 == 0 {
			return false
		}
		at += step
	}
	return true
}

// of is the word with a probe's bit. A layer has a power of two of them.
func (l *layer) of(at uint64) *uint64 { return &l.bits[at/64&uint64(len(l.bits)-1)] }

// start is a key's first probe, and how far it is from each to the next.
func start(key [16]byte) (at, step uint64) {
	return binary.BigEndian.Uint64(key[:8]), binary.BigEndian.Uint64(key[8:]) | 1
}
