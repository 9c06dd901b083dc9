package pebblestore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// manySessions is how many the user ann has in the benchmarks of this file: a p2p
// one with each of 4,000 people and 1,000 groups of ten, with 20 messages each,
// the last three of every fifth of them unread.
const manySessions = 5000

func storeOfMany(b *testing.B) *Store {
	dir := b.TempDir()
	s, err := Open(dir, quiet(nil))
	if err != nil {
		b.Fatal(err)
	}
	const each = 20
	var batch []*actors.Append
	for n := range manySessions {
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
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkHomeOf5000 reads the home list of one user with 5,000 sessions.
func BenchmarkHomeOf5000(b *testing.B) {
	s := storeOfMany(b)
	began := processor()
	for b.Loop() {
		rows, err := s.Home(context.Background(), "ann", "phone", nil)
		if err != nil || len(rows) != manySessions {
			b.Fatal(len(rows), err)
		}
	}
	b.ReportMetric((processor()-began)*1e3/float64(b.N), "cpu-ms/op")
}

// BenchmarkFirstScreenOf5000 signs that user in on a node that has nothing in
// memory: from the token's being good to the snapshot as it stands on the wire.
func BenchmarkFirstScreenOf5000(b *testing.B) {
	s := storeOfMany(b)
	var spent float64
	for b.Loop() {
		b.StopTimer()
		node := actors.New(actors.Config{}, s, pushctr.NewLocal(), everybody{}, quiet(nil).Log)
		screen := make(firstFrame, 1)
		began := processor()
		b.StartTimer()
		node.Connect(screen, actors.Remote{}).Authenticated(&protocol.Identity{User: "ann", Device: "phone", Expires: time.Now().Add(time.Hour)},
			&protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{Token: "t"}}})
		f := <-screen
		wire := protocol.AppendJSON(nil, f)
		b.StopTimer()
		spent += processor() - began
		if got := f.GetAuthReply().GetSnapshot(); len(got.GetSessions()) != 50 || got.UnreadTotal == 0 || len(wire) < 1000 {
			b.Fatalf("%d sessions, %d unread", len(got.GetSessions()), got.GetUnreadTotal())
		}
		node.Drain(context.Background(), 0)
		b.StartTimer()
	}
	b.ReportMetric(spent*1e3/float64(b.N), "cpu-ms/op")
}

// everybody is a user.
type everybody struct{}

func (everybody) Unknown(context.Context, []protocol.UserID) ([]protocol.UserID, error) {
	return nil, nil
}

// firstFrame is a link that hands on the first frame it gets.
type firstFrame chan *protocol.Frame

func (l firstFrame) Deliver(frames []actors.Outgoing, _ *actors.Burst) {
	for _, f := range frames {
		if f.Frame.GetAuthReply() != nil {
			l <- f.Frame
		}
	}
}

func (firstFrame) Close(int, string) {}
