package moderator

import (
	"errors"
	"slices"
	"sync"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// mostWords is of one session: with a value's 64 KiB they fit.
const mostWords = 300

// rules are a session's own, as they are kept outside of sessions, under s: and the
// session's id: the moderator may look at a session without being a member.
type rules struct {
	Off   bool   `json:"off,omitempty"`
	Links *int   `json:"links,omitempty"`
	Flood *int   `json:"flood,omitempty"`
	Words []rule `json:"words,omitempty"`

	list *list // these words and the installation's
}

type rule struct {
	Word string `json:"word"`
	Do   string `json:"do"` // hide, hold, reject, allow
}

// told is an error for the person who asked.
type told struct{ text string }

func (t *told) Error() string { return t.text }

func asTold(err error, t **told) bool { return errors.As(err, t) }

// same says whether two words are one, whatever their case and width.
func same(a, b string) bool {
	return slices.EqualFunc(fold([]rune(a)), fold([]rune(b)), func(x, y run) bool {
		return x.letter == y.letter && x.count == y.count
	})
}

// sessions has the rules of those sessions of which something was judged. This process
// alone writes them, so what is in memory is what is kept.
type sessions struct {
	mu     sync.Mutex
	config *Config
	plain  *rules // of a session without its own
	known  map[string]*rules
}

func (s *sessions) start(c *Config) {
	s.config = c
	s.plain = &rules{list: c.list(nil)}
	s.known = map[string]*rules{}
}

func key(session string) string { return "s:" + session }

// rules gives a session's; after an error, the installation's.
func (s *sessions) rules(kv sdk.KV, session string) (*rules, error) {
	s.mu.Lock()
	r := s.known[session]
	s.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r = new(rules)
	version, err := kv.GetJSON(key(session), r)
	if err != nil {
		return s.plain, err
	}
	if version == 0 {
		r = s.plain
	}
	return s.know(session, r, false), nil
}

// know remembers a session's rules. What was read does not replace what somebody has
// written meanwhile.
func (s *sessions) know(session string, r *rules, written bool) *rules {
	const most = 20_000 // sessions in memory, mostly sharing one set of rules
	if r.list == nil {
		r.list = s.config.list(r.Words)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if newer := s.known[session]; newer != nil && !written {
		return newer
	}
	if len(s.known) >= most {
		clear(s.known)
	}
	s.known[session] = r
	return r
}

// change writes a session's rules anew.
func (s *sessions) change(kv sdk.KV, session string, f func(*rules) error) (*rules, error) {
	r, err := sdk.Update(kv, key(session), f)
	if err != nil {
		return nil, err
	}
	r.list = nil
	return s.know(session, &r, true), nil
}

// list is the installation's words, and a session's over them.
func (c *Config) list(own []rule) *list {
	l := newList()
	set := func(word string) bool {
		return slices.ContainsFunc(own, func(r rule) bool { return same(r.Word, word) })
	}
	add := func(words []string, lv level) {
		for _, w := range words {
			if !set(w) && !slices.ContainsFunc(c.Allow, func(a string) bool { return same(a, w) }) {
				l.add(w, lv)
			}
		}
	}
	if c.Builtin {
		for lv, words := range builtin {
			add(words, lv)
		}
	}
	add(c.Hide, hide)
	add(c.Hold, hold)
	add(c.Reject, reject)
	for _, r := range own {
		if lv := levels[r.Do]; lv != none {
			l.add(r.Word, lv)
		}
	}
	return l
}
