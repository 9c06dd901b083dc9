package pebblestore

import (
	"context"
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// BenchmarkHomeOf5000 reads the home list of one user with 5,000 sessions: a
// p2p one with each of 4,000 people and 1,000 groups of ten, with 20 messages
// each, the last three of every fifth of them unread.
func BenchmarkHomeOf5000(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, quiet(nil))
	if err != nil {
		b.Fatal(err)
	}
	const sessions, each = 5000, 20
	var batch []*actors.Append
	for n := range sessions {
		info := &protocol.SessionInfo{Session: benchRoom(n), SessionType: protocol.SessionType_GROUP, Name: fmt.Sprint("group ", n), Creator: "ann", Owner: "ann", CreatedAt: 1}
		members := 10
		if n < 4000 {
			info.Session = protocol.P2PSessionID("ann", fmt.Sprint("u", n))
			info.SessionType, info.Name, info.Owner, members = protocol.SessionType_P2P, "", "", 2
		}
		a := &actors.Append{Session: info.Session, Epoch: 1, Claim: true, Create: true, Info: info}
		a.Members = []*actors.MemberRow{{User: "ann", Role: protocol.Role_OWNER, Order: 1, JoinedAt: 1}}
		for m := 1; m < members; m++ {
			a.Members = append(a.Members, &actors.MemberRow{User: fmt.Sprint("u", (n+m-1)%4000), Inviter: "ann", Order: int64(m + 1), JoinedAt: 1})
		}
		for seq := int64(1); seq <= each; seq++ {
			e := benchEntry(seq, fmt.Sprintf("%016x-%08x", seq, n))
			e.Session, e.MessagerecvId, e.Sender = info.Session, protocol.MessageID(info.Session, seq), a.Members[seq%2].User
			a.Entries, a.Hashes = append(a.Entries, e), append(a.Hashes, [8]byte{1})
		}
		read := int64(each)
		if n%5 == 0 {
			read -= 3
		}
		a.Marks = []actors.Mark{{User: "ann", Device: "phone", ReadSeq: read, RecvSeq: each}}
		if batch = append(batch, a); len(batch) == 500 {
			if err := s.Commit(batch); err != nil {
				b.Fatal(err)
			}
			for _, a := range batch {
				if a.Err != nil {
					b.Fatal(a.Err)
				}
			}
			batch = batch[:0]
		}
	}
	if err := s.Close(); err != nil { // what is read is on the disk, as after a restart
		b.Fatal(err)
	}
	if s, err = Open(dir, quiet(nil)); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	began := processor()
	for b.Loop() {
		rows, err := s.Home(context.Background(), "ann", "phone")
		if err != nil || len(rows) != sessions {
			b.Fatal(len(rows), err)
		}
	}
	b.ReportMetric((processor()-began)*1e3/float64(b.N), "cpu-ms/op")
}
