package actors

import "time"

// A node whose streams are deaf, as Redis is silent, full or has forgotten it, does not learn
// what the others acknowledge. Lists are read from the store then, when they are asked for and
// every few seconds for those who are connected, until Receiver.Lost says that all is heard again.

const (
	// lookEvery lies between two looks at the lists of a deaf node's users, at least: with the
	// time in which it is noticed, what others write arrives within 5 s.
	lookEvery = 4 * time.Second
	// lookPace lies between two users. 250 lists a second are some 1,500 queries, of a store
	// that all nodes may ask at once when it is Redis that failed: 1,000 users are looked at
	// in 4 s, 20,000 in 80 s.
	lookPace = 4 * time.Millisecond
	// lookAtOnce bounds how many are, and leaves room for what they find: a slow store is asked
	// for no more than it gives.
	lookAtOnce = catchingUp / 2
)

// deaf says whether what other nodes publish may not arrive now.
func (n *Node) deaf() bool { return n.hearing != nil && n.hearing.Deaf() }

// listen has users look at their lists while the node is deaf.
func (n *Node) listen() {
	defer n.sweeper.Done()
	tick := time.NewTicker(lookEvery / 8)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-n.stop:
			return
		case now := <-tick.C:
			if n.deaf() && now.Sub(last) >= lookEvery {
				last = now
				n.look()
			}
		}
	}
}

// look has everybody who is connected look at the list, a few at a time.
func (n *Node) look() {
	pace := time.NewTicker(lookPace)
	defer pace.Stop()
	n.people.each(func(_ string, r *ref) {
		for turn := false; !turn; turn = len(n.catchingUp) < lookAtOnce {
			if r.connections.Load() == 0 || !n.deaf() {
				return // who is connected is brought what is missing by the streams, or by Lost
			}
			select {
			case <-n.stop:
				return
			case <-pace.C:
			}
		}
		n.tell(r.pid, &recheck{})
	})
}

// recheck asks a user to compare its list with the store's.
type recheck struct{}

func (u *User) recheck() {
	if u.state == active && !u.comparing {
		u.compare(0)
	}
}

// doubtful says whether the list may lack what others have written, and nothing is to come
// that would show it.
func (u *User) doubtful() bool { return u.upTo != u.node.losses.Load() || u.node.deaf() }

// lacks says whether something that the list has is still to be brought to connections.
func (u *User) lacks() bool {
	for _, r := range u.rows {
		if r.told < r.head || r.reading != nil && r.reading.gap {
			return true
		}
	}
	return false
}
