package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// An inquiry is what one node asks another one itself, not a session there. It is put once
// and kept nowhere: who has no answer in time goes on without one.

const (
	// maxInquiries is how many to one node wait for their answers, and how many of one node's are
	// worked on: where each takes 300 ms, as a bot's ruling may, that is 3,000 a second.
	maxInquiries = 1000
	// inquirySize is in bytes of what is asked, and of what is answered. A client's frame has less.
	inquirySize = 1 << 20
	// inquiryLife is how long one waits at most.
	inquiryLife = 30 * time.Second
)

// The fields of an inquiry, and of what is answered.
const (
	inquiryNumber = 1
	inquiryKind   = 2
	inquiryAbout  = 3
	inquiryBody   = 4
	inquiryWithin = 5 // milliseconds that whoever asks waits

	foundNumber = 1
	foundBody   = 2
	foundCode   = 3 // an error
	foundDetail = 4
)

// inquiry is a question of another node's.
type inquiry struct {
	number      uint64
	kind, about string
	body        []byte
	within      time.Duration
}

// found is the answer to one.
type found struct {
	number uint64
	body   []byte
	err    *protocol.Error
}

// inquiries are those of a node's that wait, and how many of others' it works on.
type inquiries struct {
	mu      sync.Mutex
	waiting map[uint64]chan *found
	asked   map[string]int // that wait, by node
	served  map[string]int
}

// Inquire asks another node, by its id, something of a kind about something, of 1 MiB at most,
// and gives what the function says there that was given to OnInquiry. It waits no longer than
// ctx, and 30 s. BUSY: the node is not to be reached, or too many wait for it; UNSUPPORTED: it
// is of a version that does not know the kind. One that knows no inquiries does not answer.
func (n *Node) Inquire(ctx context.Context, node, kind, about string, body []byte) ([]byte, error) {
	c := n.cluster.Load()
	if c == nil {
		return nil, unreached(node)
	}
	if len(body) > inquirySize {
		return nil, protocol.TooLarge("%d bytes at most are asked of another node", inquirySize)
	}
	ctx, cancel := context.WithTimeout(ctx, inquiryLife)
	defer cancel()
	until, _ := ctx.Deadline()
	q := &inquiry{number: c.last.Add(1), kind: kind, about: about, body: body, within: time.Until(until)}
	answer := c.inquiries.begin(node, q.number)
	if answer == nil {
		return nil, protocol.Errorf(protocol.Code_BUSY, "%d inquiries wait for node %s", maxInquiries, node)
	}
	defer c.inquiries.end(node, q.number)
	if !c.peers.Send(node, appendInquiry(nil, q), false) {
		return nil, unreached(node)
	}
	select {
	case f := <-answer:
		if f.err != nil {
			return nil, f.err
		}
		return f.body, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("actors: node %s is asked: %w", node, ctx.Err())
	}
}

func unreached(node string) error {
	return protocol.Errorf(protocol.Code_BUSY, "node %s is not to be reached", node)
}

// OnInquiry has f answer what other nodes Inquire. It is called before the first connection;
// f may wait until its ctx ends, which is when nobody waits for it any more.
func (n *Node) OnInquiry(f func(ctx context.Context, kind, about string, body []byte) ([]byte, error)) {
	n.inquired = f
}

// begin gives what brings the answer; nil: too many wait for that node.
func (i *inquiries) begin(node string, number uint64) chan *found {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.asked[node] >= maxInquiries {
		return nil
	}
	if i.waiting == nil {
		i.waiting, i.asked = map[uint64]chan *found{}, map[string]int{}
	}
	answer := make(chan *found, 1)
	i.waiting[number] = answer
	i.asked[node]++
	return answer
}

func (i *inquiries) end(node string, number uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.waiting, number)
	if i.asked[node]--; i.asked[node] <= 0 {
		delete(i.asked, node)
	}
}

// settle gives an answer to who waits for it, where somebody still does.
func (i *inquiries) settle(f *found) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if answer := i.waiting[f.number]; answer != nil {
		answer <- f
		delete(i.waiting, f.number)
	}
}

// serve takes room for an inquiry of a node's; false: there is none.
func (i *inquiries) serve(node string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.served[node] >= maxInquiries {
		return false
	}
	if i.served == nil {
		i.served = map[string]int{}
	}
	i.served[node]++
	return true
}

func (i *inquiries) over(node string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.served[node]--; i.served[node] <= 0 {
		delete(i.served, node)
	}
}

// inquired takes an inquiry, which is answered away from the link it came by.
func (c *cluster) inquired(from string, fields []byte) error {
	q, err := readInquiry(fields)
	if err != nil {
		return err
	}
	if !c.inquiries.serve(from) {
		c.peers.Send(from, appendFound(nil, &found{number: q.number, err: protocol.Errorf(protocol.Code_BUSY, "%d inquiries are worked on", maxInquiries)}), true)
		return nil
	}
	c.node.aside(func() {
		defer c.inquiries.over(from)
		ctx, cancel := context.WithTimeout(c.node.life, min(q.within, inquiryLife))
		defer cancel()
		c.peers.Send(from, appendFound(nil, c.node.find(ctx, q)), true)
	})
	return nil
}

// find is the answer to an inquiry.
func (n *Node) find(ctx context.Context, q *inquiry) (f *found) {
	defer func() {
		if e := recover(); e != nil {
			n.panicked("inquiry "+q.kind, e)
			f = &found{number: q.number, err: protocol.Errorf(protocol.Code_INTERNAL, "internal error")}
		}
	}()
	f = &found{number: q.number}
	answers := n.inquired
	switch {
	case q.kind == inquiryGiven:
		answers = n.given
	case answers == nil:
		f.err = protocol.Errorf(protocol.Code_UNSUPPORTED, "nobody answers inquiries here")
		return f
	}
	body, err := answers(ctx, q.kind, q.about, q.body)
	if err == nil && len(body) > inquirySize {
		err = protocol.TooLarge("%d bytes at most are answered", inquirySize)
	}
	if err != nil {
		f.err = protocol.AsError(err)
		return f
	}
	f.body = body
	return f
}

func appendInquiry(b []byte, q *inquiry) []byte {
	w := writer{protowire.AppendVarint(b, recordInquiry)}
	w.number(inquiryNumber, q.number)
	w.text(inquiryKind, q.kind)
	w.text(inquiryAbout, q.about)
	w.bytes(inquiryBody, q.body)
	w.number(inquiryWithin, uint64(max(1, q.within.Milliseconds())))
	return w.b
}

// errNoInquiry says that an inquiry, or the answer to one, is nobody's.
var errNoInquiry = errors.New("actors: an inquiry without a number")

// readInquiry keeps a part of b.
func readInquiry(b []byte) (*inquiry, error) {
	q := &inquiry{}
	err := peers.Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case inquiryNumber:
			q.number = n
		case inquiryKind:
			q.kind = string(text)
		case inquiryAbout:
			q.about = string(text)
		case inquiryBody:
			q.body = text
		case inquiryWithin:
			q.within = time.Duration(min(n, uint64(inquiryLife.Milliseconds()))) * time.Millisecond
		}
	})
	if err == nil && q.number == 0 {
		err = errNoInquiry
	}
	return q, err
}

func appendFound(b []byte, f *found) []byte {
	w := writer{protowire.AppendVarint(b, recordFound)}
	w.number(foundNumber, f.number)
	if f.err != nil {
		w.number(foundCode, uint64(f.err.Code))
		w.text(foundDetail, f.err.Detail)
		return w.b
	}
	w.bytes(foundBody, f.body)
	return w.b
}

// readFound keeps a part of b.
func readFound(b []byte) (*found, error) {
	f, e := &found{}, &protocol.Error{}
	err := peers.Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case foundNumber:
			f.number = n
		case foundBody:
			f.body = text
		case foundCode:
			e.Code = protocol.Code(n)
		case foundDetail:
			e.Detail = string(text)
		}
	})
	if e.Code != 0 {
		f.body, f.err = nil, e
	}
	if err == nil && f.number == 0 {
		err = errNoInquiry
	}
	return f, err
}
