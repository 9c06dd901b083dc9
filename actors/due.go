package actors

import "time"

// What expires and ends is found in the store by time. Were every node to look every second, a
// store would be asked the same by each: one does, and tells the others where there is something
// of theirs. They look by themselves once in a while, as a word may be lost and a node may die.

const (
	// workDue falls to the node that looks every second.
	workDue = "work:due"
	// dueEvery is how often the others look by themselves, in seconds.
	dueEvery = 10
	// changedDue is told to all nodes by Node.Changed.
	changedDue = "due"
)

// lookDue has this node look what is due.
func (n *Node) lookDue() {
	select {
	case n.due <- struct{}{}:
	default: // it is about to
	}
}

// expireDue has sessions of this node do what is due.
func (n *Node) expireDue(now time.Time) {
	ctx, cancel := n.background()
	defer cancel()
	due, err := n.journal.Due(ctx, now, 1000)
	if err != nil {
		n.log.Error("reading which messages expire", "err", err)
		return
	}
	others := false
	for _, d := range due {
		if n.Owns(d.Session) {
			n.session(d.Session).tell(&expire{seq: d.Seq})
		} else {
			others = true
		}
	}
	over, err := n.journal.DueSessions(ctx, now, 100)
	if err != nil {
		n.log.Error("reading which sessions end", "err", err)
		return
	}
	for _, id := range over {
		if n.Owns(id) {
			n.session(id).tell(&timeUp{})
		} else {
			others = true
		}
	}
	if others && n.Owns(workDue) { // who is told does not tell
		n.Changed(changedDue, "")
	}
}
