package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// everybody gives people to notices: those who have not been shut out.
type everybody struct{ *data }

func (e everybody) Everybody(ctx context.Context, after protocol.UserID, limit int) (ids []protocol.UserID, err error) {
	err = e.store.EachUser(ctx, after, func(u *userctr.User) bool {
		if !u.Disabled && u.Kind == userctr.Human {
			ids = append(ids, u.ID)
		}
		return len(ids) < limit
	})
	return ids, err
}

// noticeDesk asks the store whether who sends notices still may, and writes into the audit log who does.
type noticeDesk struct {
	*actors.Notices
	users *userctr.Center
}

func (d noticeDesk) Send(ctx context.Context, by string, id protocol.ClientMsgID, users []protocol.UserID, content *protocol.Content) (*actors.NoticeRow, error) {
	if by != userctr.ByOperator {
		if _, err := d.users.Administer(ctx, access.Notices); err != nil {
			return nil, err
		}
	}
	now := time.Now().UnixMilli()
	row, err := d.Notices.Send(ctx, by, id, users, content)
	if err != nil || row.CreatedAt < now { // known already
		return row, err
	}
	to := "to everybody"
	if users != nil {
		to = fmt.Sprintf("to %d users", len(users))
	}
	return row, d.users.Record(ctx, userctr.Record{Action: "notice-sent", By: by, About: row.ID, Note: to})
}

// sendNotices lets notices go out until the function it gives is called.
func (s *server) sendNotices() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var going sync.WaitGroup
	going.Go(func() { s.notices.Run(ctx) })
	return func() {
		cancel()
		going.Wait()
	}
}

type (
	newNotice struct {
		Text  string   `json:"text"`
		Users []string `json:"users,omitempty"` // empty: everybody
		Key   string   `json:"key"`
	}
	sentNotice struct {
		ID     string `json:"id"`
		Told   int64  `json:"told"`
		Failed int64  `json:"failed"`
		Done   bool   `json:"done"`
	}
)

func (s *server) notify(ctx context.Context, n newNotice) (sentNotice, error) {
	var users []protocol.UserID
	for _, who := range n.Users {
		u, err := s.users.Identify(ctx, who)
		if err != nil {
			return sentNotice{}, err
		}
		users = append(users, u.ID)
	}
	row, err := noticeDesk{s.notices, s.users}.Send(ctx, userctr.ByOperator, n.Key, users, &protocol.Content{Type: protocol.ContentType_SYSTEM, Text: n.Text})
	return viewNotice(row, err)
}

func (s *server) noticed(ctx context.Context, id string) (sentNotice, error) {
	return viewNotice(s.notices.Read(ctx, id))
}

func viewNotice(row *actors.NoticeRow, err error) (sentNotice, error) {
	if err != nil {
		return sentNotice{}, err
	}
	return sentNotice{ID: row.ID, Told: row.Told, Failed: row.Failed, Done: row.DoneAt != 0}, nil
}

const noticeUsage = `usage: troupe notice TEXT [--to NAME,NAME…] [--key WORD] [flags]

Tells users of a running server something: everybody, or those named by name or id.
It waits until all were told; interrupted, the server goes on. The same --key again
is the same notice, which nobody gets twice.`

// notice sends a notice and waits until it has gone out.
func (p *program) notice(ctx context.Context, args []string) error {
	n := newNotice{}
	to := ""
	l, err := p.settings(args, noticeUsage, func(f *flag.FlagSet) {
		f.StringVar(&to, "to", "", "names or ids of users; everybody unless said")
		f.StringVar(&n.Key, "key", "", "a word of one's own for this notice")
	})
	if err != nil {
		return err
	}
	if len(l.args) != 1 || strings.TrimSpace(l.args[0]) == "" {
		return errUsage{errors.New(`notice takes one text: troupe notice "TEXT"`)}
	}
	n.Text, n.Users = l.args[0], split(to)
	if n.Key == "" {
		n.Key = rand.Text()
	}
	var sent sentNotice
	if err := askAdmin(ctx, l.Data, "POST", "/notices", n, &sent); err != nil {
		return err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !sent.Done {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d were told; the server goes on with %s", sent.Told, sent.ID)
		case <-tick.C:
		}
		if err := askAdmin(ctx, l.Data, "GET", "/notices/"+sent.ID, nil, &sent); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.out, "%d users were told (%s)\n", sent.Told-sent.Failed, sent.ID)
	if sent.Failed > 0 {
		return fmt.Errorf("%d could not be told: the server's log says why", sent.Failed)
	}
	return nil
}
