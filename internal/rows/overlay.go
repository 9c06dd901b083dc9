package rows

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Overlay is what a change wrote so far: values by key, nil is a deleted row.
type Overlay map[string][]byte

// Put notes a row; nil is an empty one.
func (o Overlay) Put(key, value []byte) {
	if value == nil {
		value = []byte{}
	}
	o[string(key)] = value
}

// Delete notes that a row ends.
func (o Overlay) Delete(key []byte) { o[string(key)] = nil }

// Get gives what was noted of a row; own: something was.
func (o Overlay) Get(key []byte) (value []byte, found, own bool) {
	v, own := o[string(key)]
	return bytes.Clone(v), v != nil, own
}

// Scan calls each with the rows from <= key < to as they are with the overlay in front of them;
// behind calls its argument with those that are behind it. What each writes meanwhile is not seen.
func (o Overlay) Scan(from, to []byte, behind func(each func(key, value []byte) error) error, each func(key, value []byte) error) error {
	var mine []string
	now := make(map[string][]byte)
	for key, value := range o {
		if key >= string(from) && (to == nil || key < string(to)) {
			mine, now[key] = append(mine, key), value
		}
	}
	slices.Sort(mine)
	upTo := func(key string, with bool) error { // gives those of mine before key, and that of key itself
		for len(mine) > 0 && (mine[0] < key || with && mine[0] == key) {
			k := mine[0]
			mine = mine[1:]
			if v := now[k]; v != nil {
				if err := each([]byte(k), v); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := behind(func(key, value []byte) error {
		if err := upTo(string(key), true); err != nil {
			return err
		}
		if _, own := now[string(key)]; own {
			return nil
		}
		return each(key, value)
	})
	if err != nil {
		return err
	}
	for len(mine) > 0 {
		if err := upTo(mine[0], true); err != nil {
			return err
		}
	}
	return nil
}

// Rows calls each with what was noted, in the order of keys.
func (o Overlay) Rows(each func(key string, value []byte)) {
	for _, key := range slices.SortedFunc(maps.Keys(o), strings.Compare) {
		each(key, o[key])
	}
}
