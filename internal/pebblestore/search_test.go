package pebblestore

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
	"github.com/troupe-im/troupe/internal/storetest"
)

func TestStoreIsSearched(t *testing.T) {
	storetest.Search(t, func(t *testing.T) storetest.Searched {
		s := openIn(t, vfs.NewMem())
		t.Cleanup(func() { s.Close() })
		return s
	})
}

func TestABlockWhoseChangeIsNotOnTheDiskYetIsNotSigned(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	defer s.Close()
	room := benchRoom(1)
	a := &actors.Append{Session: room, Epoch: 1, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_GROUP}}
	for seq := int64(1); seq <= search.BlockSize; seq++ {
		a.Entries, a.Hashes = append(a.Entries, benchEntry(seq, fmt.Sprint(seq))), append(a.Hashes, [8]byte{})
	}
	if err := s.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		t.Fatal(err, a.Err)
	}
	k, _ := parseSession(room)
	h, _, err := s.now().head(k)
	if err != nil {
		t.Fatal(err)
	}
	signed := func() (n int) {
		t.Helper()
		if _, err := s.Sign(t.Context(), []protocol.SessionID{room}, true, func([]search.Message) []byte { return []byte("x") }); err != nil {
			t.Fatal(err)
		}
		err := s.scanPrefix(k.in(tableSignature, 0), func(_, _ []byte) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	heads, rows := map[sessionKey]head{k: h}, rewritten{k: {5: []byte("as it was")}}
	s.hidden.hide(heads, rows)
	if n := signed(); n != 0 {
		t.Error("it is signed by words that are about to go")
	}
	s.hidden.show(heads, rows)
	if n := signed(); n != 1 {
		t.Errorf("when the change is there, %d blocks are signed, want 1", n)
	}
}
