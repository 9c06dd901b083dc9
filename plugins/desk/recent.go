package desk

// recent keeps the newest of what it was given, between max and twice as many.
type recent[V any] struct {
	max        int
	young, old map[string]V
}

func (r *recent[V]) put(key string, v V) {
	if r.young == nil || len(r.young) >= r.max {
		r.young, r.old = make(map[string]V), r.young
	}
	r.young[key] = v
}

func (r *recent[V]) get(key string) (v V, ok bool) {
	if v, ok = r.young[key]; !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

func (r *recent[V]) drop(key string) {
	delete(r.young, key)
	delete(r.old, key)
}
