package actors

import (
	"math/rand/v2"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTheLeadersAreThoseOfTheMembersWhoLead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	role := func() protocol.Role { return protocol.Role(random.IntN(3)) }
	var next int64
	row := func() *MemberRow { next++; return &MemberRow{Order: next, Role: role()} }
	for range 50 {
		next = 0
		o := order{}
		if random.IntN(2) == 0 {
			o = orderOf([]*MemberRow{row(), row(), row()})
		}
		for range 100 {
			rows, _ := o.after(0, 1000)
			switch at := random.IntN(len(rows) + 1); {
			case at == len(rows) || random.IntN(3) == 0:
				o.add(row())
			case random.IntN(2) == 0:
				changed := *rows[at]
				changed.Role = role()
				o.replace(&changed)
			default:
				o.remove(rows[at])
			}
			rows, _ = o.after(0, 1000)
			n := 0
			for _, m := range rows {
				if leads(m) {
					n++
					if o.leaders[m.Order] != m {
						t.Fatalf("%v leads, the leaders are %v", m, o.leaders)
					}
				}
			}
			if n != len(o.leaders) {
				t.Fatalf("%d lead, the leaders are %v", n, o.leaders)
			}
		}
	}
}
