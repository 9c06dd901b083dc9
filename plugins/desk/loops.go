package desk

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Bounds of what bots say among themselves.
const (
	alternations = 6
	alternating  = time.Minute
	muteFor      = 10 * time.Minute
	sameTexts    = 3 // the third one is dropped
	sameWithin   = 10 * time.Minute
)

// loops watches what bots say without a person between.
type loops struct {
	d     *Desks
	mu    sync.Mutex
	in    map[protocol.SessionID]*loop
	muted map[place]int64 // until when, Unix milliseconds
}

// loop is what bots said in a session since a person spoke.
type loop struct {
	at    time.Time
	last  protocol.UserID
	pair  [2]protocol.UserID
	turns []time.Time // of pair, one after the other
	same  map[protocol.UserID]same
}

type same struct {
	text string // a hash
	n    int
	seq  int64
	at   time.Time
}

// saw looks at what became durable. It does not block.
func (c *loops) saw(o *actors.Offer) {
	for _, e := range o.Entries {
		if e.Kind != protocol.Kind_MESSAGE {
			continue
		}
		if !protocol.IsBot(e.Sender) {
			c.mu.Lock()
			delete(c.in, o.Session)
			c.mu.Unlock()
			continue
		}
		c.note(e)
	}
}

// note looks at a bot's message: as it was answered, or offered, whichever is earlier.
func (c *loops) note(e *protocol.Entry) {
	if pair, ok := c.said(e); ok {
		c.d.spawn(func() { c.mute(e.Session, e.Seq, pair) })
	}
}

// said notes a bot's message, and says which two talk in circles.
func (c *loops) said(e *protocol.Entry) (pair [2]protocol.UserID, circling bool) {
	if hopsOf(e.ClientMsgId) == maxHops && len(e.ClientMsgId) > 5 && e.ClientMsgId[:5] == "desk." {
		return pair, false
	}
	now := c.d.need.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.in[e.Session]
	if l == nil {
		if c.in == nil {
			c.in = map[protocol.SessionID]*loop{}
		}
		l = &loop{same: map[protocol.UserID]same{}}
		c.in[e.Session] = l
	}
	l.at = now
	was := l.same[e.Sender]
	if e.Seq <= was.seq {
		return pair, false
	}
	s := same{n: 1, seq: e.Seq, at: now}
	if text := e.Content.GetText(); text != "" {
		if s.text = hashed(text); was.text == s.text && now.Sub(was.at) < sameWithin {
			s.n = was.n + 1
		}
	}
	l.same[e.Sender] = s
	last := l.last
	l.last = e.Sender
	if last == "" || last == e.Sender {
		return pair, false
	}
	two := [2]protocol.UserID{min(last, e.Sender), max(last, e.Sender)}
	if two != l.pair {
		l.pair, l.turns = two, nil
	}
	l.turns = append(slices.DeleteFunc(l.turns, func(t time.Time) bool { return now.Sub(t) > alternating }), now)
	if len(l.turns) < alternations {
		return pair, false
	}
	l.turns, l.last = nil, ""
	until := now.Add(muteFor).UnixMilli()
	if c.muted == nil {
		c.muted = map[place]int64{}
	}
	for _, bot := range two {
		c.muted[place{bot, e.Session}] = until
	}
	return two, true
}

// mute makes two bots quiet in a session, durably, and says so.
func (c *loops) mute(session protocol.SessionID, seq int64, pair [2]protocol.UserID) {
	ctx, cancel := c.d.background()
	defer cancel()
	until := c.d.need.Now().Add(muteFor).UnixMilli()
	told := false
	for _, bot := range pair {
		p := c.d.of(bot)
		if p == nil {
			continue
		}
		if err := p.change(ctx, place{bot, session}, func(s *State) { s.MutedTill = until }); err != nil {
			c.d.need.Log.Error("muting a bot", "user", bot, "session", session, "err", err)
		}
		if told {
			continue
		}
		told = true
		faces := c.d.people.all(ctx, pair[:])
		_, err := c.d.say(ctx, p.host(bot), &protocol.MsgSend{
			Session: session, ClientMsgId: "desk.loop." + strconv.FormatInt(seq, 10),
			Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: fmt.Sprintf(words(c.d.locale()).loop, nameOr(faces[0].Name, pair[0]), nameOr(faces[1].Name, pair[1]))},
		})
		if err != nil {
			c.d.need.Log.Error("saying that bots are muted", "session", session, "err", err)
		}
	}
	c.d.need.Log.Warn("two bots talked in circles", "user", pair[0], "with", pair[1], "session", session)
}

func nameOr(name string, id protocol.UserID) string {
	if name == "" {
		return id
	}
	return name
}

// may refuses what a bot may not say: it is muted, or says the same again and again.
func (c *loops) may(bot protocol.UserID, session protocol.SessionID, state State, text string) error {
	now := c.d.need.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	until := max(c.muted[place{bot, session}], state.MutedTill)
	if wait := until - now.UnixMilli(); wait > 0 {
		return &protocol.Error{Code: protocol.Code_SILENCED, Detail: "the bot talked in circles with another one", RetryAfterMs: wait}
	}
	if l := c.in[session]; l != nil && text != "" {
		if was := l.same[bot]; was.n >= sameTexts-1 && was.text == hashed(text) && now.Sub(was.at) < sameWithin {
			return protocol.Denied("the bot said the same %d times in a row: it is dropped", sameTexts)
		}
	}
	return nil
}

func (c *loops) forget() {
	now := c.d.need.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, l := range c.in {
		if now.Sub(l.at) > sameWithin {
			delete(c.in, id)
		}
	}
	for at, until := range c.muted {
		if until < now.UnixMilli() {
			delete(c.muted, at)
		}
	}
}
