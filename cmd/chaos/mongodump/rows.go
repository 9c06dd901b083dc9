package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/troupe-im/troupe/cmd/chaos/entry"
	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// documents are the collections that are read, in no order.
type documents struct {
	commits []commit
	members []member
	marks   []mark
}

// commit is what a session wrote in one step; its log is all of them in their order. The
// collections of members and marks are made of them and may be behind.
type commit struct {
	ID      string `bson:"_id"` // session/n in 13 digits
	Session string `bson:"s"`
	N       int64  `bson:"n"`
	Void    bool   `bson:"void"` // nothing was written, the number is taken
	Entries []line `bson:"e"`
	Version int64  `bson:"v"` // the commit that rewrote these entries last
	Pending []byte `bson:"pending"`
	Marks   []mark `bson:"marks"`
	Rest    struct {
		Rewrites []struct {
			N       int64  `bson:"n"`
			At      []int  `bson:"at"`
			Entries []line `bson:"e"`
		} `bson:"r"`
		Members []member `bson:"m"`
	} `bson:"c"`
}

type line struct {
	Seq      int64  `bson:"q"`
	Key      []byte `bson:"k"` // 16 bytes, see history.Sent
	Data     []byte `bson:"d"` // protobuf, without session, seq and id
	Original []byte `bson:"o"`
}

type member struct {
	N       int64  `bson:"n"` // the commit that wrote it
	Session string `bson:"s"`
	User    string `bson:"u"`
	Gone    bool   `bson:"gone"`
	Floor   int64  `bson:"floor"`
}

type mark struct {
	Session string `bson:"s"`
	User    string `bson:"u"`
	Read    int64  `bson:"r"`
}

type who struct{ session, user string }

// dump gives every session as its commits have it.
func (d *documents) dump() (*history.Dump, error) {
	of := map[string][]*commit{}
	for i := range d.commits {
		c := &d.commits[i]
		if want := fmt.Sprintf("%s/%013d", c.Session, c.N); c.ID != want {
			return nil, fmt.Errorf("commit %s says that it is %s", c.ID, want)
		}
		of[c.Session] = append(of[c.Session], c)
	}
	members, read := map[who]member{}, map[who]int64{}
	for _, m := range d.members {
		members[who{m.Session, m.User}] = m
	}
	for _, m := range d.marks {
		read[who{m.Session, m.User}] = m.Read
	}
	all := &history.Dump{}
	for session, commits := range of {
		s, err := log(session, commits)
		if err != nil {
			return nil, err
		}
		for _, c := range commits {
			for _, m := range c.Rest.Members {
				if at := (who{session, m.User}); members[at].N < c.N {
					m.N = c.N
					members[at] = m
				}
			}
			for _, m := range c.Marks {
				at := who{session, m.User}
				read[at] = max(read[at], m.Read)
			}
		}
		for at, m := range members {
			if at.session == session && !m.Gone {
				s.Members = append(s.Members, history.Member{User: m.User, Floor: m.Floor, Read: read[at]})
			}
		}
		slices.SortFunc(s.Members, func(a, b history.Member) int { return cmp.Compare(a.User, b.User) })
		all.Sessions = append(all.Sessions, s)
	}
	slices.SortFunc(all.Sessions, func(a, b *history.Stored) int { return cmp.Compare(a.Session, b.Session) })
	return all, nil
}

// log reads the commits of a session one behind the other.
func log(session string, commits []*commit) (*history.Stored, error) {
	slices.SortFunc(commits, func(a, b *commit) int { return cmp.Compare(a.N, b.N) })
	s := &history.Stored{Session: session}
	byN := map[int64]*commit{}
	for i, c := range commits {
		if c.N != int64(i)+1 {
			return nil, fmt.Errorf("session %s: behind %d commits comes number %d", session, i, c.N)
		}
		byN[c.N] = c
	}
	for _, c := range commits {
		for _, w := range c.Rest.Rewrites { // which may not be in its place yet
			to := byN[w.N]
			if to == nil || len(w.At) != len(w.Entries) {
				return nil, fmt.Errorf("commit %s rewrites %d, which is not there", c.ID, w.N)
			}
			if to.Version > c.N {
				continue
			}
			for i, at := range w.At {
				to.Entries[at] = w.Entries[i]
			}
			to.Version = c.N
		}
	}
	for _, c := range commits {
		if c.Void || c.Pending != nil {
			continue
		}
		for _, l := range c.Entries {
			e, err := entry.Parse(l.Data)
			if err != nil {
				return nil, fmt.Errorf("commit %s: %w", c.ID, err)
			}
			e.Session, e.Seq = session, l.Seq
			e.ID = session + "." + strconv.FormatInt(l.Seq, 10)
			s.Entries = append(s.Entries, e)
			s.Head = max(s.Head, l.Seq)
			if len(l.Key) > 0 {
				s.Sent = append(s.Sent, history.Sent{Key: hex.EncodeToString(l.Key), Seq: l.Seq})
			}
			if l.Original != nil {
				s.Originals = append(s.Originals, l.Seq)
			}
		}
	}
	return s, nil
}
