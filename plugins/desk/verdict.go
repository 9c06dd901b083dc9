package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// askedVerdict is what a desk asks another one about a plugin that is reached there: a Moderate
// frame, answered by a Verdict. NOT_FOUND: it is not reached there.
const askedVerdict = "verdict"

// verdict asks the bot what becomes of a message: here, or at a node where it is reached.
func (p *plug) verdict(ctx context.Context, m *botv1.Moderate) (*botv1.Verdict, error) {
	v, err := p.verdictHere(ctx, m)
	if errors.Is(err, errOffline) && p.d.Elsewhere(p.id) {
		return p.verdictAfar(ctx, m)
	}
	return v, err
}

func (p *plug) verdictHere(ctx context.Context, m *botv1.Moderate) (*botv1.Verdict, error) {
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	v, err := l.moderate(ctx, m)
	if err == nil && !m.Draft {
		p.mu.Lock()
		p.count.judged++
		p.mu.Unlock()
	}
	return v, err
}

// verdictAfar asks at the node that serves the session, and where the bot has just gone from
// there at another one.
func (p *plug) verdictAfar(ctx context.Context, m *botv1.Moderate) (*botv1.Verdict, error) {
	asked, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	others := p.d.need.Nodes
	err = errOffline
	for nodes := p.d.reach.nodes(p.id, p.d.need.Now()); len(nodes) > 0; {
		node := cmp.Or(others.OwnerAmong(m.Session, nodes), nodes[0]) // one that leaves, or is without its store, may still reach it
		var said []byte
		if said, err = others.Inquire(ctx, node, askedVerdict, p.id, asked); err == nil {
			v := &botv1.Verdict{}
			if err := proto.Unmarshal(said, v); err != nil {
				return nil, fmt.Errorf("the verdict of node %s: %w", node, err)
			}
			return v, known(v)
		}
		if !protocol.Code_NOT_FOUND.Is(err) {
			return nil, err
		}
		nodes = slices.DeleteFunc(nodes, func(n string) bool { return n == node })
	}
	return nil, err
}

// Inquired answers the desk of another node.
func (d *Desks) Inquired(ctx context.Context, kind, about string, body []byte) ([]byte, error) {
	switch kind {
	case askedDescribe:
		return d.described(about)
	case askedUse:
		return d.usedFor(ctx, about, body)
	case askedVerdict:
		return d.verdictFor(ctx, about, body)
	}
	return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "no %.40q is given here", kind)
}

// verdictFor answers askedVerdict.
func (d *Desks) verdictFor(ctx context.Context, about string, body []byte) ([]byte, error) {
	m := &botv1.Moderate{}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, protocol.BadRequest("a Moderate that cannot be read")
	}
	p := d.known(about)
	if p == nil || !p.judgesHere() {
		return nil, protocol.NotFound("a moderator %.40q", about)
	}
	v, err := p.verdictHere(ctx, m)
	switch {
	case errors.Is(err, errOffline):
		return nil, protocol.NotFound("bot %.40q: it is offline", about)
	case err != nil:
		return nil, protocol.Errorf(protocol.Code_BUSY, "%s", err)
	}
	return proto.Marshal(v)
}

// known refuses a verdict that is none.
func known(v *botv1.Verdict) error {
	switch v.Verdict {
	case "allow", "rewrite", "reject", "hold":
		return nil
	}
	return errors.New("there is no such verdict")
}

var errOffline = errors.New("the moderator is offline")

// moderate asks the bot what becomes of a message. nil is an offline one.
func (l *link) moderate(ctx context.Context, m *botv1.Moderate) (*botv1.Verdict, error) {
	if l == nil {
		return nil, errOffline
	}
	answer := make(chan *botv1.Verdict, 1)
	l.asking.Lock()
	l.lastAsk++
	m.Id = l.lastAsk
	l.asks[m.Id] = answer
	l.asking.Unlock()
	defer func() {
		l.asking.Lock()
		delete(l.asks, m.Id)
		l.asking.Unlock()
	}()
	if at, ok := ctx.Deadline(); ok {
		m.DeadlineMs = max(1, time.Until(at).Milliseconds())
	}
	l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Moderate{Moderate: m}})
	select {
	case v := <-answer:
		return v, known(v)
	case <-l.ctx.Done():
		return nil, errOffline
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *link) verdict(v *botv1.Verdict) {
	l.asking.Lock()
	answer := l.asks[v.Id]
	l.asking.Unlock()
	if answer != nil {
		select {
		case answer <- v:
		default:
		}
	}
}
