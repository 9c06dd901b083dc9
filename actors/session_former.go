package actors

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// maxFormer bounds how many silences of former members a session keeps: some 100 KB
// in the row of its settings, should all be taken.
const maxFormer = 1000

// silences are those of former members, by user: when they end. They are kept with the
// session's settings and apart from them here, so that what clients are told of those has
// none of it.
type silences map[protocol.UserID]int64

// silencesOf takes the silences out of info, as the store has it.
func silencesOf(info *protocol.SessionInfo) silences {
	var f silences
	for _, m := range info.Former {
		f.keep(m.User, m.SilencedUntil)
	}
	info.Former = nil
	return f
}

// within gives info as the store is to have it.
func (f silences) within(info *protocol.SessionInfo) *protocol.SessionInfo {
	if len(f) == 0 {
		return info
	}
	info = proto.CloneOf(info)
	for _, u := range slices.Sorted(maps.Keys(f)) {
		info.Former = append(info.Former, &protocol.Member{User: u, SilencedUntil: f[u]})
	}
	return info
}

// keep makes room by what has ended, and else by what ends first.
func (f *silences) keep(user protocol.UserID, until int64) {
	if *f == nil {
		*f = silences{}
	}
	(*f)[user] = until
	if len(*f) <= maxFormer {
		return
	}
	now := time.Now().UnixMilli()
	maps.DeleteFunc(*f, func(_ protocol.UserID, end int64) bool { return end <= now })
	if len(*f) > maxFormer {
		delete(*f, slices.MinFunc(slices.Collect(maps.Keys(*f)), func(a, b protocol.UserID) int {
			return cmp.Or(cmp.Compare((*f)[a], (*f)[b]), cmp.Compare(a, b))
		}))
	}
}

// silencesLeft keeps the silences of rows, which are on their way out, until they end.
func (s *Session) silencesLeft(p *pending, rows []*MemberRow) {
	now := time.Now().UnixMilli()
	for _, row := range rows {
		if row.SilencedUntil > now {
			s.former.keep(row.User, row.SilencedUntil)
			p.Info = s.info
		}
	}
}

// silencedAgain gives row, which is on its way in, the silence that it left with.
func (s *Session) silencedAgain(p *pending, row *MemberRow) {
	until, found := s.former[row.User]
	if !found {
		return
	}
	delete(s.former, row.User)
	p.Info = s.info
	if until > time.Now().UnixMilli() && row.Role != protocol.Role_OWNER {
		row.SilencedUntil = max(row.SilencedUntil, until)
	}
}
