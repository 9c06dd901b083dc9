package client

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// syncPage is how many entries one sync asks for, the most the server gives.
	syncPage = 200
	// maxLater bounds the entries kept that came ahead of a hole; more are fetched again.
	maxLater = 256
	// newBacklog is with how many entries a session begins that appears while connected.
	newBacklog = 50
)

// log is how far this client is in one session. All of it is under Client.mu.
type log struct {
	epoch     string
	have      int64                     // everything up to here was handed on
	head      int64                     // the newest seq that was heard of
	later     map[int64]*protocol.Entry // ahead of a hole
	repairing bool
}

// noteRow takes a row of the home list; backlog is for a session new to us.
func (c *Client) noteRow(h *protocol.SessionHead, backlog int64) {
	g := c.logs[h.Session]
	if g == nil {
		g = &log{epoch: h.Epoch, have: max(h.FloorSeq-1, min(h.RecvSeq, h.HeadSeq), 0)}
		if backlog >= 0 {
			g.have = max(g.have, h.HeadSeq-backlog)
		}
		c.logs[h.Session] = g
	}
	if h.Epoch != "" && g.epoch != "" && h.Epoch != g.epoch {
		c.reset(h.Session, g, h.Epoch)
	}
	g.epoch = h.Epoch
	c.noteHead(h.Session, g, h.HeadSeq)
}

func (c *Client) noteHead(session protocol.SessionID, g *log, head int64) {
	g.head = max(g.head, head)
	c.repairIfBehind(session, g)
}

// noteHeads takes the heads of a heartbeat's answer, by which a lost tail is found.
func (c *Client) noteHeads(heads map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for session, head := range heads {
		g := c.logs[session]
		if g == nil {
			g = &log{have: max(head-newBacklog, 0)}
			c.logs[session] = g
		}
		c.noteHead(session, g, head)
	}
}

func (c *Client) reset(session protocol.SessionID, g *log, epoch string) {
	c.events.put(&Reset{Session: session})
	g.epoch, g.have, g.head, g.later = epoch, 0, 0, nil
}

// push takes what the server says unasked.
func (c *Client) push(f *protocol.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Offset > c.offset {
		c.offset = f.Offset
	}
	switch b := f.Body.(type) {
	case *protocol.Frame_MsgPush:
		c.entry(b.MsgPush)
		return
	case *protocol.Frame_SessionUpdate:
		if b.SessionUpdate.Gone {
			delete(c.logs, b.SessionUpdate.Session)
		} else if h := b.SessionUpdate.Head; h != nil {
			c.noteRow(h, newBacklog)
		}
	case *protocol.Frame_Goaway:
		c.goaway = time.Duration(b.Goaway.RetryInMs) * time.Millisecond
	case *protocol.Frame_MsgEditingReply: // says who is typing
	default:
		if protocol.IsReply(f) {
			return // to something nobody waits for
		}
	}
	c.events.put(&Frame{f})
}

// entry hands an entry on when it is the next one; what came before is dropped,
// what lies behind a hole waits until the hole is filled.
func (c *Client) entry(e *protocol.Entry) {
	g := c.logs[e.Session]
	if g == nil {
		g = &log{have: e.Seq - 1}
		c.logs[e.Session] = g
	}
	g.head = max(g.head, e.Seq)
	switch {
	case e.Seq <= g.have:
	case e.Seq == g.have+1:
		c.hand(g, e)
		for next := g.later[g.have+1]; next != nil; next = g.later[g.have+1] {
			delete(g.later, next.Seq)
			c.hand(g, next)
		}
	default:
		if g.later == nil {
			g.later = map[int64]*protocol.Entry{}
		}
		if len(g.later) < maxLater {
			g.later[e.Seq] = e
		}
		c.repairIfBehind(e.Session, g)
	}
}

// own takes what this connection sent itself: the server gives it the answer in
// the place where others get the push.
func (c *Client) own(m *protocol.MsgSend, a *protocol.MsgSendReply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entry(&protocol.Entry{
		Session: a.Session, Seq: a.Seq, MessagerecvId: a.MessagerecvId, Sender: c.user, ClientMsgId: m.ClientMsgId,
		Content: m.Content, CreatedAt: a.CreatedAt, Expire: m.Expire, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
		Platform: c.cfg.Platform,
	})
}

func (c *Client) hand(g *log, e *protocol.Entry) {
	g.have = e.Seq
	c.got[e.Session] = e.Seq
	c.events.put(&Entry{e})
}

func (c *Client) repairIfBehind(session protocol.SessionID, g *log) {
	if g.have >= g.head || g.repairing || c.link == nil {
		return
	}
	g.repairing = true
	go c.repair(c.link, session, g)
}

// repairPause is between two syncs that brought nothing, which is rare: a head that
// was told before it can be read.
const repairPause = 100 * time.Millisecond

// repair fetches a session's missing entries until there are none, or l ends.
func (c *Client) repair(l *link, session protocol.SessionID, g *log) {
	for c.repairOnce(l, session, g) {
	}
}

func (c *Client) repairOnce(l *link, session protocol.SessionID, g *log) (again bool) {
	c.mu.Lock()
	if g.have >= g.head || c.logs[session] != g {
		g.repairing = false
		c.mu.Unlock()
		return false
	}
	have, epoch := g.have, g.epoch
	c.mu.Unlock()

	f, err := l.request(context.Background(), &protocol.Frame{Body: &protocol.Frame_Sync{
		Sync: &protocol.Sync{Session: session, AfterSeq: &have, Limit: syncPage, Epoch: epoch},
	}})

	c.mu.Lock()
	defer c.mu.Unlock()
	var refused *protocol.Error
	switch {
	case protocol.Code_EPOCH_CHANGED.Is(err):
		head := g.head
		c.reset(session, g, "")
		g.head = max(head, 1) // so that it is asked for from the start
		return true
	case protocol.Code_NOT_FOUND.Is(err), protocol.Code_DENIED.Is(err):
		delete(c.logs, session) // we are out of it
		g.repairing = false
		return false
	case errors.As(err, &refused):
		c.cfg.Log.Warn("sync", "session", session, "error", err)
		return c.pause(l)
	case err != nil:
		g.repairing = false
		if c.link != l {
			c.repairIfBehind(session, g) // the next connection is here already
		}
		return false
	}
	reply := f.GetSyncReply()
	if g.epoch == "" {
		g.epoch = reply.Epoch
	}
	if up := reply.GetGone().GetUpTo(); up > g.have {
		c.skip(session, g, up)
	}
	for _, e := range reply.Messages {
		if e.Seq > g.have+1 {
			c.skip(session, g, e.Seq-1) // not ours to read: said, not hidden
		}
		c.entry(e)
	}
	if !reply.HasMore {
		// Nobody can be ahead of the log: a head beyond it belonged to another epoch.
		g.head = max(min(g.head, max(reply.HeadSeq, g.have)), g.have)
	}
	if g.have == have && g.have < g.head {
		return c.pause(l)
	}
	return true
}

func (c *Client) skip(session protocol.SessionID, g *log, upTo int64) {
	g.have = upTo
	c.events.put(&Gone{Session: session, UpTo: upTo})
	for seq := range g.later {
		if seq <= upTo {
			delete(g.later, seq)
		}
	}
}

// pause lets some time pass, without the lock that the caller holds.
func (c *Client) pause(l *link) bool {
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-l.over:
	case <-time.After(repairPause):
	}
	return true
}
