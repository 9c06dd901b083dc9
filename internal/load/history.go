package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// The shapes of the two history scenarios.
const (
	fillWindow  = 50  // in flight per sender while entries are made
	syncPage    = 200 // entries a page, the most that sync gives
	historyPage = 50
	pagesRead   = 2_000
)

// fill makes rooms of two with each entries in them, and leaves no connection open.
func fill(ctx context.Context, o *options, t *target, w *troupeWire, rooms, each int) ([]*room, error) {
	o = o.with(func(o *options) {
		o.pairs, o.window, o.rate = rooms, fillWindow, 0
		o.warmup, o.duration = 0, 30*time.Minute
	})
	made, err := pairs(ctx, o, t, w)
	if err != nil {
		return nil, err
	}
	for _, r := range made {
		r.flows[0].limit = uint32(each)
	}
	res, err := traffic(ctx, o, t, made)
	if err != nil {
		return nil, err
	}
	return made, res.Checks.Err()
}

// catchUp lets fresh devices of one user read o.entries entries by sync, one after
// the other: what a client pays that comes back after a weekend.
func catchUp(ctx context.Context, o *options, t *target, w *troupeWire) (*Result, error) {
	rooms, err := fill(ctx, o, t, w, 1, o.entries)
	if err != nil {
		return nil, err
	}
	session := rooms[0].flows[0].session
	readers := make([]*conn, o.readers)
	defer closeAll(readers)
	for i := range readers {
		c := &conn{wire: w, user: 1, device: 1000 + i}
		readers[i] = c
		if err := c.signIn(ctx, t.at(i), i); err != nil {
			return nil, err
		}
	}
	res := &Result{Connections: o.readers, Entries: o.entries}
	h := newHistogram()
	begin, cpu := time.Now(), t.cpu()
	for _, c := range readers {
		at := time.Now()
		n, err := c.readAll(session)
		if err != nil {
			return nil, err
		}
		h.RecordValue(time.Since(at).Microseconds())
		if n != o.entries {
			res.Checks.Lost += int64(o.entries - n)
			res.Checks.say("a reader got %d of %d messages", n, o.entries)
		}
	}
	cpu = t.cpu() - cpu
	res.Seconds = time.Since(begin).Seconds()
	res.CatchUp = latency(h)
	res.CPUPerCatchUp = perUnit(cpu, int64(o.readers)) / 1000
	res.PSS = t.pss()
	return res, nil
}

// readAll pages through a session from its start and gives the number of messages
// in it; entries out of order are an error.
func (c *conn) readAll(session string) (messages int, err error) {
	for after := int64(0); ; {
		answer, err := c.ask(map[string]any{"type": "sync", "session": session, "afterSeq": after, "limit": syncPage})
		if err != nil {
			return 0, err
		}
		p, err := parsePage(answer)
		if err != nil {
			return 0, err
		}
		if p.entries > 0 && p.first != after+1 {
			return 0, fmt.Errorf("sync after %d begins with %d", after, p.first)
		}
		messages += p.messages
		after = p.last
		if !p.more {
			return messages, nil
		}
		if p.entries == 0 {
			return 0, errors.New("sync: an empty page with more to come")
		}
	}
}

// page is what a sync_reply holds.
type page struct {
	first, last       int64
	entries, messages int
	more              bool
}

func parsePage(reply []byte) (p page, err error) {
	s := scanner{b: reply}
	for key, v, ok := s.next(); ok; key, v, ok = s.next() {
		switch string(key) {
		case "hasMore":
			p.more = string(v) == "true"
		case "messages":
			if err := p.take(v); err != nil {
				return p, err
			}
		}
	}
	if s.bad {
		err = errors.New("sync_reply: not a JSON object")
	}
	return p, err
}

func (p *page) take(list []byte) error {
	for i := skipSpace(list, 1); i < len(list) && list[i] != ']'; {
		end := skipValue(list, i)
		if end < 0 {
			return errors.New("sync_reply: messages is no list")
		}
		seq, message := int64(0), true
		s := scanner{b: list[i:end]}
		for key, v, ok := s.next(); ok; key, v, ok = s.next() {
			switch string(key) {
			case "seq":
				seq = number(v)
			case "kind":
				message = string(v) == `"message"`
			}
		}
		if p.entries > 0 && seq != p.last+1 {
			return fmt.Errorf("sync_reply: entry %d behind entry %d", seq, p.last)
		}
		if p.entries == 0 {
			p.first = seq
		}
		p.last = seq
		p.entries++
		if message {
			p.messages++
		}
		i = skipSpace(list, end)
		if i < len(list) && list[i] == ',' {
			i = skipSpace(list, i+1)
		}
	}
	return nil
}

// history fills the store with o.fill entries and reads pages of 50 from random
// places of random sessions, one at a time; a server that load started is then
// killed and started again, to see how long it takes with that much in its store.
func history(ctx context.Context, o *options, t *target, w *troupeWire) (*Result, error) {
	each := max(o.fill/o.pairs, historyPage)
	begin := time.Now()
	rooms, err := fill(ctx, o, t, w, o.pairs, each)
	if err != nil {
		return nil, err
	}
	res := &Result{Entries: each * o.pairs, Seconds: time.Since(begin).Seconds(), PSS: t.pss()}
	if t.child != nil {
		t.child.Process.Signal(syscall.SIGKILL)
		t.halt()
		at := time.Now()
		if err := t.start(ctx); err != nil {
			return nil, err
		}
		res.ColdStart = float64(time.Since(at).Microseconds()) / 1000
	}
	readers := make([]*conn, len(rooms))
	defer closeAll(readers)
	for i := range rooms {
		c := &conn{wire: w, user: 2*i + 1}
		readers[i] = c
		if err := c.signIn(ctx, t.at(i), i); err != nil {
			return nil, err
		}
	}
	h := newHistogram()
	cpu := t.cpu()
	for range pagesRead {
		i := rand.IntN(len(rooms))
		before := historyPage + 1 + rand.Int64N(int64(each-historyPage+1))
		at := time.Now()
		answer, err := readers[i].ask(map[string]any{"type": "sync", "session": rooms[i].flows[0].session, "beforeSeq": before, "limit": historyPage})
		if err != nil {
			return nil, err
		}
		h.RecordValue(time.Since(at).Microseconds())
		p, err := parsePage(answer)
		if err != nil {
			return nil, err
		}
		if p.entries != historyPage || p.last != before-1 {
			res.Checks.Lost++
			res.Checks.say("a page before %d had %d entries up to %d", before, p.entries, p.last)
		}
	}
	res.CPUPerPage = perUnit(t.cpu()-cpu, pagesRead)
	res.Page = latency(h)
	return res, nil
}
