package userctr

import (
	"context"
	"sync"
	"time"
)

// flights joins those who ask for the same thing at the same time: one asks, and
// all get its answer.
type flights[V any] struct {
	mu    sync.Mutex
	under map[string]*flight[V]
}

type flight[V any] struct {
	landed chan struct{}
	value  V
	err    error
}

// do gives what ask gives, to everybody who says key while it runs. It runs for at most
// within, whether the first who asked still waits or not.
func (f *flights[V]) do(ctx context.Context, key string, within time.Duration, ask func(context.Context) (V, error)) (V, error) {
	f.mu.Lock()
	one := f.under[key]
	if one == nil {
		one = &flight[V]{landed: make(chan struct{})}
		if f.under == nil {
			f.under = map[string]*flight[V]{}
		}
		f.under[key] = one
		go func() {
			asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
			defer cancel()
			defer func() {
				f.mu.Lock()
				delete(f.under, key)
				f.mu.Unlock()
				close(one.landed)
			}()
			one.value, one.err = ask(asking)
		}()
	}
	f.mu.Unlock()
	select {
	case <-one.landed:
		return one.value, one.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// halves remembers at most twice max values: when the young half is full it becomes
// the old one, and what nobody asked for meanwhile is forgotten.
type halves[K comparable, V any] struct {
	max        int
	mu         sync.Mutex
	young, old map[K]V
}

func (h *halves[K, V]) get(key K) (V, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.young[key]
	if !ok {
		if v, ok = h.old[key]; ok {
			h.keep(key, v)
		}
	}
	return v, ok
}

func (h *halves[K, V]) put(key K, v V) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep(key, v)
}

func (h *halves[K, V]) drop(key K) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.young, key)
	delete(h.old, key)
}

func (h *halves[K, V]) keep(key K, v V) {
	if len(h.young) >= h.max || h.young == nil {
		h.old, h.young = h.young, map[K]V{}
	}
	h.young[key] = v
}
