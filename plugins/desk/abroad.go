package desk

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// What a bot says of itself it says to the node that it comes to. The others ask that one for it
// when they hear that it is there, so that its commands are offered in sessions of all nodes.

// askedDescribe is what a desk asks another one about a plugin that is reached there: it is
// answered by its Describe. NOT_FOUND: it is not reached there.
const askedDescribe = "describe"

// describeWithin bounds the asking. What is not known then is asked for when it is next said
// that the bot is there.
const describeWithin = 5 * time.Second

// abroad is what plugins say of themselves at other nodes.
type abroad struct {
	mu   sync.Mutex
	said map[string]*account // by plugin
}

// account is what a plugin said, or what is being asked for.
type account struct {
	version string          // as the others name it
	says    *botv1.Describe // nil: it is not known yet
	asked   bool            // it is on the way
}

// versionOf names what a plugin says of itself, to tell it from what it says another time.
func versionOf(says *botv1.Describe) string {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(says)
	if err != nil {
		return "-"
	}
	return hashed(string(text))
}

// learn asks a node what a plugin says of itself there, if that is not known.
func (d *Desks) learn(plugin, node, version string) {
	if version == "" { // a node that does not say it does not tell it either
		return
	}
	d.abroad.mu.Lock()
	a := d.abroad.said[plugin]
	if a == nil {
		a = &account{}
		if d.abroad.said == nil {
			d.abroad.said = map[string]*account{}
		}
		d.abroad.said[plugin] = a
	}
	enough := a.asked || a.says != nil && a.version == version
	a.asked = a.asked || !enough
	d.abroad.mu.Unlock()
	if enough {
		return
	}
	d.spawn(func() {
		says, err := d.describeAt(node, plugin)
		d.abroad.mu.Lock()
		defer d.abroad.mu.Unlock()
		a.asked = false
		if err == nil {
			a.version, a.says = version, says
		}
	})
}

func (d *Desks) describeAt(node, plugin string) (*botv1.Describe, error) {
	ctx, cancel := context.WithTimeout(d.ctx, describeWithin)
	defer cancel()
	text, err := d.need.Nodes.Inquire(ctx, node, askedDescribe, plugin, nil)
	if err != nil {
		return nil, err
	}
	says := &botv1.Describe{}
	if err := proto.Unmarshal(text, says); err != nil {
		return nil, err
	}
	return says, nil
}

// described answers askedDescribe.
func (d *Desks) described(plugin string) ([]byte, error) {
	if p := d.known(plugin); p != nil {
		p.mu.Lock()
		says, linked := p.says, p.link != nil
		p.mu.Unlock()
		if linked {
			return proto.Marshal(says)
		}
	}
	return nil, protocol.NotFound("bot %.40q", plugin)
}

// speaker is a plugin that has users, here or at another node.
type speaker struct {
	says   *botv1.Describe
	online bool
}

// speakers gives all that is known, by plugin. What one says at the node that reaches it now is
// what counts.
func (d *Desks) speakers() map[string]speaker {
	all := map[string]speaker{}
	for _, p := range d.all() {
		p.mu.Lock()
		if p.says != nil {
			all[p.id] = speaker{p.says, p.link != nil}
		}
		p.mu.Unlock()
	}
	now := d.need.Now()
	d.abroad.mu.Lock()
	defer d.abroad.mu.Unlock()
	for plugin, a := range d.abroad.said {
		there := len(d.reach.nodes(plugin, now)) > 0
		if s, here := all[plugin]; a.says != nil && (!here || there && !s.online) {
			all[plugin] = speaker{a.says, there}
		}
	}
	return all
}
