package actors

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// NodesSubject is what all nodes of an installation follow: what they tell each other there
// is for no client.
const NodesSubject = "n:all"

// What nodes tell all of them, in Event.Word: a number that says what it is, and fields.
// Numbers stay; an unknown one is passed over.
const (
	wordKick  = 1
	wordStale = 2 // what others keep of something is not so any more
)

const (
	kickUser   = 1
	kickLogin  = 2
	kickDevice = 3
	kickApp    = 4
	kickCode   = 5
	kickWhy    = 6

	staleKind = 1
	staleID   = 2
)

// tellNodes tells every node of the installation a word, this one included. Who does not
// hear it finds out when it reads again what it keeps.
func (n *Node) tellNodes(word []byte) {
	if n.cluster.Load() == nil {
		n.told(word)
		return
	}
	n.streams.Publish(NodesSubject, []*Event{{Word: word}}, nil)
}

// Changed says to all nodes that what they keep of something is not so any more.
func (n *Node) Changed(kind, id string) {
	if n.cluster.Load() == nil {
		return
	}
	w := writer{[]byte{wordStale}}
	w.text(staleKind, kind)
	w.text(staleID, id)
	n.tellNodes(w.b)
}

// OnChanged has f called when a node says Changed, this one or another. It is called before
// the first connection; f does not block.
func (n *Node) OnChanged(f func(kind, id string)) { n.changed = f }

// told takes a word.
func (n *Node) told(word []byte) {
	what, fields := recordOf(word)
	switch what {
	case wordKick:
		k := &kick{}
		if peers.Fields(fields, func(field protowire.Number, number uint64, text []byte) {
			switch field {
			case kickUser:
				k.user = string(text)
			case kickLogin:
				k.login = string(text)
			case kickDevice:
				k.device = string(text)
			case kickApp:
				k.app = string(text)
			case kickCode:
				k.code = protocol.Code(number)
			case kickWhy:
				k.why = string(text)
			}
		}) != nil || k.user == "" && k.app == "" { // whoever it is: no node says that to others
			return
		}
		for _, c := range n.all() {
			c.actor.tell(k)
		}
	case wordStale:
		var kind, id string
		if peers.Fields(fields, func(field protowire.Number, _ uint64, text []byte) {
			switch field {
			case staleKind:
				kind = string(text)
			case staleID:
				id = string(text)
			}
		}) != nil {
			return
		}
		switch {
		case kind == changedDue && !n.Owns(workDue):
			n.lookDue()
		case kind != changedDue && n.changed != nil:
			n.changed(kind, id)
		}
	}
}

// kickAll closes connections, of whichever node.
func (n *Node) kickAll(k *kick) {
	w := writer{[]byte{wordKick}}
	w.text(kickUser, k.user)
	w.text(kickLogin, k.login)
	w.text(kickDevice, k.device)
	w.text(kickApp, k.app)
	w.number(kickCode, uint64(k.code))
	w.text(kickWhy, k.why)
	n.tellNodes(w.b)
}
