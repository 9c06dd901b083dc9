package storetest

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Notices tries everything that actors.NoticeStore says of a store, which open gives empty.
func Notices(t *testing.T, open func(t *testing.T) actors.NoticeStore) {
	for name, test := range map[string]func(*testing.T, actors.NoticeStore){
		"a notice is kept once, and comes back": noticeComesBack,
		"a notice that is done is open no more": noticeIsDone,
		"old notices are forgotten":             noticesAreForgotten,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func notice(id string, at int64, users ...protocol.UserID) *actors.NoticeRow {
	return &actors.NoticeRow{ID: id, By: "root", Users: users, CreatedAt: at, Content: &protocol.Content{Type: protocol.ContentType_CARD, Title: id, Data: `{"a":1}`}}
}

func sameNotice(t *testing.T, got, want *actors.NoticeRow) {
	t.Helper()
	g, w := *got, *want
	if same := proto.Equal(g.Content, w.Content); !same {
		t.Errorf("content = %v, want %v", g.Content, w.Content)
	}
	g.Content, w.Content = nil, nil
	equal(t, "notice", fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", w))
}

func noticeComesBack(t *testing.T, s actors.NoticeStore) {
	first := notice("n_a", 100, "ann", "bob")
	kept, err := s.AddNotice(background, first)
	must(t, err)
	sameNotice(t, kept, first)
	kept, err = s.AddNotice(background, notice("n_a", 200, "eve"))
	must(t, err)
	sameNotice(t, kept, first)
	kept, err = s.Notice(background, "n_a")
	must(t, err)
	sameNotice(t, kept, first)
	_, err = s.Notice(background, "n_x")
	wants(t, err, protocol.Code_NOT_FOUND)
	wants(t, s.MoveNotice(background, notice("n_x", 1)), protocol.Code_NOT_FOUND)
}

func openNotices(t *testing.T, s actors.NoticeStore) (ids []string) {
	t.Helper()
	open, err := s.OpenNotices(background)
	must(t, err)
	for _, n := range open {
		ids = append(ids, n.ID)
	}
	return ids
}

func noticeIsDone(t *testing.T, s actors.NoticeStore) {
	equal(t, "open of none", openNotices(t, s), []string{})
	for _, n := range []*actors.NoticeRow{notice("n_b", 300), notice("n_c", 100), notice("n_a", 200)} {
		_, err := s.AddNotice(background, n)
		must(t, err)
	}
	equal(t, "open", openNotices(t, s), []string{"n_c", "n_a", "n_b"})
	n := notice("n_a", 200)
	n.After, n.Told, n.Failed = "u_5", 77, 2
	must(t, s.MoveNotice(background, n))
	kept, err := s.Notice(background, "n_a")
	must(t, err)
	sameNotice(t, kept, n)
	n.DoneAt = 900
	must(t, s.MoveNotice(background, n))
	equal(t, "open after one is done", openNotices(t, s), []string{"n_c", "n_b"})
}

func noticesAreForgotten(t *testing.T, s actors.NoticeStore) {
	for i, id := range []string{"n_a", "n_b", "n_c"} {
		n := notice(id, int64(i))
		_, err := s.AddNotice(background, n)
		must(t, err)
		if n.DoneAt = int64(1000 * i); i > 0 {
			must(t, s.MoveNotice(background, n))
		}
	}
	must(t, s.ForgetNotices(background, 2000))
	for id, there := range map[string]bool{"n_a": true, "n_b": false, "n_c": true} {
		if _, err := s.Notice(background, id); (err == nil) != there {
			t.Errorf("%s: %v, want it there: %v", id, err, there)
		}
	}
	if kept, err := s.AddNotice(background, notice("n_b", 5000)); err != nil || kept.CreatedAt != 5000 {
		t.Errorf("sent again = %v, %v", kept, err)
	}
}
