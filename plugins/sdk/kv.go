package sdk

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// KV is a room of keys that the host keeps for a bot: one for each session, and one
// outside of them. Keys have 1 to 256 bytes, values 64 KiB; all of a bot's 10 MiB. It
// needs the scope kv.
type KV struct {
	c       *Ctx
	session string
}

// KV is the session's room of keys.
func (c *Ctx) KV() KV { return KV{c, c.Session} }

// Global is the room of keys outside of sessions.
func (c *Ctx) Global() KV { return KV{c, "-"} }

// Item is what a key has.
type Item struct {
	Key     string
	Value   []byte
	Version int64     // 0: the key is not there
	Expires time.Time // zero: never
}

func (k KV) call() *botv1.Call {
	call := k.c.call()
	call.Session = k.session
	if call.Session == "" {
		call.Session = "-"
	}
	return call
}

// Get reads a key. One that is not there is no error: its Version is 0.
func (k KV) Get(key string) (Item, error) {
	call := k.call()
	call.Do = &botv1.Call_KvGet{KvGet: &botv1.KvGet{Key: key}}
	r, err := k.c.do(k.c, call)
	if Code(err) == "NOT_FOUND" {
		return Item{Key: key}, nil
	}
	return item(r.GetKv()), err
}

func item(i *botv1.KvItem) Item {
	if i == nil {
		return Item{}
	}
	return Item{Key: i.Key, Value: i.Value, Version: i.Version, Expires: moment(i.ExpiresAt)}
}

// Set writes a key, for ever.
func (k KV) Set(key string, value []byte) error {
	return k.set(&botv1.KvSet{Key: key, Value: value})
}

// SetFor writes a key that is gone after ttl.
func (k KV) SetFor(key string, value []byte, ttl time.Duration) error {
	return k.set(&botv1.KvSet{Key: key, Value: value, TtlMs: ttl.Milliseconds()})
}

// Swap writes a key if it still has that version; 0: if it is not there. Else CONFLICT.
func (k KV) Swap(key string, value []byte, version int64) error {
	return k.set(&botv1.KvSet{Key: key, Value: value, IfVersion: &version})
}

// Delete removes a key. One that is not there is no error.
func (k KV) Delete(key string) error {
	return k.set(&botv1.KvSet{Key: key, Remove: true})
}

func (k KV) set(s *botv1.KvSet) error {
	call := k.call()
	call.Do = &botv1.Call_KvSet{KvSet: s}
	_, err := k.c.do(k.c, call)
	return err
}

// List goes through the keys with a prefix, in order; after an error there is no more.
func (k KV) List(prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		after := ""
		for {
			call := k.call()
			call.Do = &botv1.Call_KvList{KvList: &botv1.KvList{Prefix: prefix, After: after, Limit: 100}}
			r, err := k.c.do(k.c, call)
			if err != nil {
				yield(Item{}, err)
				return
			}
			items := r.GetKvList().GetItems()
			for _, i := range items {
				if !yield(item(i), nil) {
					return
				}
			}
			if !r.GetKvList().GetMore() || len(items) == 0 {
				return
			}
			after = items[len(items)-1].Key
		}
	}
}

// GetJSON reads a key into v, which stays as it is when the key is not there; that is
// said by the version 0.
func (k KV) GetJSON(key string, v any) (version int64, err error) {
	i, err := k.Get(key)
	if err != nil || i.Version == 0 {
		return 0, err
	}
	return i.Version, json.Unmarshal(i.Value, v)
}

// SetJSON writes v to a key, for ever; with a ttl, for so long.
func (k KV) SetJSON(key string, v any, ttl ...time.Duration) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(ttl) > 0 {
		return k.SetFor(key, b, ttl[0])
	}
	return k.Set(key, b)
}

// Update changes what a key has, whoever else does so at the same time: f gets what is
// there, the zero T if nothing is, and is called again when another was quicker. What it
// left is given back. Its error changes nothing.
func Update[T any](k KV, key string, f func(*T) error) (T, error) {
	const tries = 20
	for try := 1; ; try++ {
		var v T
		version, err := k.GetJSON(key, &v)
		if err != nil {
			return v, err
		}
		if err := f(&v); err != nil {
			return v, err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return v, err
		}
		err = k.Swap(key, b, version)
		if Code(err) != "CONFLICT" || try == tries {
			return v, err
		}
	}
}

// Decode puts the item's JSON into v.
func (i Item) Decode(v any) error { return json.Unmarshal(i.Value, v) }
