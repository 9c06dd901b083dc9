package actors

import (
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What two people may do to each other, decided from what both keep. Nothing here
// waits or tells anybody; who asks writes what is decided, and then tells.

// decision is what follows from a frame about two people, or about a request.
type decision struct {
	change  *ContactChange    // nil: nothing is written
	request *protocol.Request // as it is from now on
	hidden  bool              // nobody but its from learns of the request
	meet    bool              // the two have a session from now on
	contact *ContactRow       // of the asker, where that is the answer
	shown   *protocol.Request // waits for the asker, who did not see it until now

	enters, inviter protocol.UserID // who comes into the group with it, and by whom
}

// rules are the settings that decisions lean on.
type rules struct {
	now  time.Time
	life time.Duration // of a request
	tell bool          // a blocked user is told so
}

// askFriend decides on a request from one who wants to be a friend of the other.
// That there is one already is no news: who asked before gets it again, and the
// other way round it is accepted, as both want the same.
func askFriend(p *Pair, from protocol.UserID, m *protocol.RequestSend, by rules) (*decision, error) {
	switch w := p.Waiting; {
	case p.Mine.Friend:
		return nil, protocol.Conflict("%s is a friend already", m.Target)
	case p.Mine.Blocked:
		return nil, protocol.Conflict("%s is blocked by you: lift that first", m.Target)
	case open(w, by.now) && w.From == from:
		return &decision{request: w}, nil
	case open(w, by.now):
		return answerFriend(p, w, from, accepted, by)
	case p.Theirs.Blocked && by.tell:
		return nil, protocol.Errorf(protocol.Code_BLOCKED, "%s has blocked you", m.Target)
	}
	r := newRequest(from, m, by.now, by.life)
	change := RequestChange{Request: r}
	if p.Waiting != nil {
		change.Instead = p.Waiting.Id
	}
	return &decision{request: r, hidden: p.Theirs.Blocked, change: &ContactChange{Requests: []RequestChange{change}}}, nil
}

// answerFriend decides on an answer to a FRIEND request between the two of p. A
// request from somebody blocked is not there for who blocked.
func answerFriend(p *Pair, was *protocol.Request, by protocol.UserID, to int64, rules rules) (*decision, error) {
	as := sideOf(was, by)
	if as == answerer && p.Mine.Blocked && was.CallBackType == waiting {
		as = stranger
	}
	next, err := transition(was, by, as, to, rules.now)
	if err != nil || next == was {
		return &decision{request: was}, err
	}
	d := &decision{
		request: next, hidden: as == asker && p.Theirs.Blocked,
		change: &ContactChange{Requests: []RequestChange{{Request: next, Was: was.CallBackType}}},
	}
	if to == accepted {
		next.Session, d.meet = protocol.P2PSessionID(was.From, was.Target), true
		for _, row := range []ContactRow{p.Mine, p.Theirs} {
			row.Friend, row.Since = true, next.UpdateTime
			d.change.Contacts = append(d.change.Contacts, &row)
		}
	}
	return d, nil
}

// setContact decides on what one keeps of the other. A remark and tags are for
// friends and blocked users; of others nothing is kept.
func setContact(p *Pair, m *protocol.ContactSet) (*decision, error) {
	row := p.Mine
	if m.Blocked != nil {
		row.Blocked = *m.Blocked
	}
	if m.Remark != nil {
		row.Remark = *m.Remark
	}
	if m.GetSetTags() || len(m.Tags) > 0 {
		row.Tags = m.Tags
	}
	if !row.Kept() {
		if !p.Mine.Kept() && m.Blocked == nil {
			return nil, protocol.NotFound("%.64q is no contact of yours", m.User)
		}
		row.Remark, row.Tags = "", nil
	}
	d := &decision{contact: &row}
	if row.Blocked != p.Mine.Blocked || row.Remark != p.Mine.Remark || !slices.Equal(row.Tags, p.Mine.Tags) {
		d.change = &ContactChange{Contacts: []*ContactRow{&row}}
	}
	if p.Mine.Blocked && !row.Blocked && p.Waiting.GetFrom() == m.User {
		d.shown = p.Waiting
	}
	return d, nil
}

// unfriend decides on the end of a friendship: both rows end in one commit; what
// is left of one is that its owner blocked the other.
func unfriend(p *Pair) (*decision, error) {
	if !p.Mine.Friend {
		return nil, protocol.NotFound("%.64q is no friend of yours", p.Mine.Other)
	}
	d := &decision{change: &ContactChange{}}
	for _, was := range []ContactRow{p.Mine, p.Theirs} {
		row := ContactRow{User: was.User, Other: was.Other, Version: was.Version, Blocked: was.Blocked}
		d.change.Contacts = append(d.change.Contacts, &row)
	}
	return d, nil
}

// mayTalk says whether the owner of mine may say something to the other one, in the
// p2p session of the two. Only who is told of being blocked learns why not.
func mayTalk(mine, theirs *ContactRow, tell, friendsOnly bool) error {
	switch {
	case theirs.Blocked && tell:
		return protocol.Errorf(protocol.Code_BLOCKED, "%s has blocked you", theirs.User)
	case theirs.Blocked, friendsOnly && !mine.Friend:
		return protocol.Denied("%s does not take messages from %s", theirs.User, mine.User)
	}
	return nil
}

// with is the pair after a change of it.
func (p Pair) with(change *ContactChange) *Pair {
	for _, row := range change.Contacts {
		switch row.User {
		case p.Mine.User:
			p.Mine = *row
		case p.Theirs.User:
			p.Theirs = *row
		}
	}
	return &p
}

// view is a row as its user's clients see it.
func (c *ContactRow) view() *protocol.Contact {
	v := &protocol.Contact{User: c.Other, Friend: c.Friend, Blocked: c.Blocked, Remark: c.Remark, Tags: c.Tags, Since: c.Since}
	if c.Friend {
		v.Session = protocol.P2PSessionID(c.User, c.Other)
	}
	return v
}
