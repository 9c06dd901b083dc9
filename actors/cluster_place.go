package actors

import (
	"cmp"
	"slices"
	"strings"
)

// places is a View and what is computed from it once.
type places struct {
	View
	seeds []uint64 // of Members that can have sessions, in their order
	ids   []string
}

// placesOf looks at v as the node self does, which may be the only one left to own anything.
func placesOf(v View, self string) *places {
	p := &places{View: View{Version: v.Version, Members: slices.Clone(v.Members)}}
	slices.SortFunc(p.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, can := range []func(m Member) bool{ // where all nodes lack something, nothing moves for that
		func(m Member) bool { return m.Sight != Blind && !p.shunned(m.ID) },
		func(m Member) bool { return m.Sight != Blind },
		func(Member) bool { return true },
	} {
		for _, m := range p.Members {
			if !m.Leaving && can(m) {
				p.seeds, p.ids = append(p.seeds, hash64(m.ID)), append(p.ids, m.ID)
			}
		}
		if len(p.ids) > 0 {
			break
		}
	}
	if len(p.ids) == 0 { // all leave: each does what is asked of it to the end
		p.seeds, p.ids = []uint64{hash64(self)}, []string{self}
	}
	return p
}

// asIfWell is p as it was while some nodes reached the store and the others: who dies is mostly
// missed before it is given up, and its sessions are placed elsewhere by then.
func (p *places) asIfWell(some []Member) *places {
	is := func(id string) bool { return slices.ContainsFunc(some, func(m Member) bool { return m.ID == id }) }
	v := View{Version: p.Version, Members: slices.Clone(p.Members)}
	for i := range v.Members {
		m := &v.Members[i]
		if is(m.ID) {
			m.Sight = Clear
		}
		m.Misses = strings.Join(slices.DeleteFunc(strings.Split(m.Misses, ","), is), ",")
	}
	return placesOf(v, "")
}

// owner is the node that id falls to: the one with the highest score for it (rendezvous
// hashing), so that a node that comes or goes moves what is its own and nothing else.
// All nodes have to agree, also those of other versions: it stays as it is.
func (p *places) owner(id string) string {
	if len(p.ids) == 1 {
		return p.ids[0]
	}
	key := hash64(id)
	best, at := uint64(0), 0
	for i, seed := range p.seeds {
		if score := mix64(key ^ seed); i == 0 || score > best {
			best, at = score, i
		}
	}
	return p.ids[at]
}

// ownerAmong is owner of those in nodes; "": none of them is there.
func (p *places) ownerAmong(id string, nodes []string) string {
	key := hash64(id)
	best, at := uint64(0), ""
	for i, seed := range p.seeds {
		if score := mix64(key ^ seed); (at == "" || score > best) && slices.Contains(nodes, p.ids[i]) {
			best, at = score, p.ids[i]
		}
	}
	return at
}

func (p *places) has(id string) bool {
	return slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == id })
}

// hash64 is FNV-1a, and what mix64 makes of it: ids of nodes and sessions differ in few bits.
func hash64(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix64(h)
}

// mix64 is the finalizer of SplitMix64. Without it three nodes on one host got 50, 25 and
// 25 percent of all sessions, with it 33 each.
func mix64(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
