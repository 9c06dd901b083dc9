package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
	"github.com/troupe-im/troupe/userctr"
)

// operator does what administrators do, whether they ask by REST, by the admin
// socket of a running server, or by a command on a stopped one's data. Who may ask
// is for those who ask it to find out; by is whom the audit log names.
type operator struct {
	*data
	node  *actors.Node
	cfg   *Config
	live  *server // nil: it does not run
	erase string  // what becomes of an erased user's messages when nobody says
	log   *slog.Logger
}

// withOperator opens the data of a server that doesn't run, for one thing.
func (p *program) withOperator(c *Config, do func(*operator) error) error {
	return p.withData(c, func(d *data) error {
		log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
		node := actors.New(c.Actors, d.store, pushctr.NewLocal(), d.users, log)
		defer node.Drain(context.Background(), 0)
		return do(&operator{data: d, cfg: c, node: node, erase: c.EraseMessages, log: log})
	})
}

// adminSession is a session as administrators see it.
type adminSession struct {
	Session   string        `json:"session"`
	Type      string        `json:"type"`
	Name      string        `json:"name,omitempty"`
	Owner     string        `json:"owner,omitempty"`
	Creator   string        `json:"creator,omitempty"`
	CreatedAt time.Time     `json:"createdAt"`
	Head      int64         `json:"headSeq"`
	Dead      bool          `json:"dead,omitempty"`
	Members   int64         `json:"memberCount"`
	People    []adminMember `json:"members,omitempty" doc:"In order of joining"`
	Next      string        `json:"next,omitempty" doc:"The cursor of the members' next page"`
}

type adminMember struct {
	User string    `json:"user"`
	Role string    `json:"role"`
	At   time.Time `json:"joinedAt"`
}

var (
	sessionWords = map[protocol.SessionType]string{protocol.SessionType_SYSTEM_SESSION: "system", protocol.SessionType_MUC: "muc", protocol.SessionType_P2P: "p2p", protocol.SessionType_GROUP: "group"}
	roleWords    = map[protocol.Role]string{protocol.Role_MEMBER: "member", protocol.Role_ADMIN: "admin", protocol.Role_OWNER: "owner"}
)

// session reads a session with up to limit members that joined after a cursor.
func (o *operator) session(ctx context.Context, id, cursor string, limit int) (*adminSession, error) {
	stored, err := o.store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	var after int64
	if cursor != "" {
		if after, err = strconv.ParseInt(cursor, 10, 64); err != nil {
			return nil, protocol.BadRequest("cursor: give back what next said")
		}
	}
	i := stored.Info
	v := &adminSession{
		Session: id, Type: sessionWords[i.SessionType], Name: i.Name, Owner: i.Owner, Creator: i.Creator, CreatedAt: time.UnixMilli(i.CreatedAt).UTC(),
		Head: stored.Head, Dead: i.Dead, Members: int64(len(stored.Members)),
	}
	for _, m := range stored.Members {
		if m.Order <= after {
			continue
		}
		if len(v.People) == limit {
			v.Next = strconv.FormatInt(after, 10)
			break
		}
		after = m.Order
		v.People = append(v.People, adminMember{m.User, roleWords[m.Role], time.UnixMilli(m.JoinedAt).UTC()})
	}
	return v, nil
}

// sessionsOf gives the sessions that a user is in, without their members, from a place on.
func (o *operator) sessionsOf(ctx context.Context, user protocol.UserID, from, limit int) (list []*adminSession, more bool, err error) {
	ids, err := o.store.SessionsOf(ctx, user)
	if err != nil {
		return nil, false, err
	}
	ids = ids[min(from, len(ids)):]
	for _, id := range ids[:min(limit, len(ids))] {
		v, err := o.session(ctx, id, "", 0)
		if err != nil {
			return nil, false, err
		}
		v.Next = ""
		list = append(list, v)
	}
	return list, len(ids) > limit, nil
}

func (o *operator) dissolve(ctx context.Context, by string, id protocol.SessionID) error {
	stored, err := o.store.Load(ctx, id)
	if err != nil {
		return err
	}
	if t := stored.Info.SessionType; t != protocol.SessionType_GROUP && t != protocol.SessionType_MUC {
		return protocol.Denied("only groups are dissolved")
	}
	if err := o.users.Dissolved(ctx, by, id); err != nil {
		return err
	}
	return o.node.Dissolve(ctx, id)
}

func (o *operator) recall(ctx context.Context, by, message string) error {
	id, seq, err := protocol.ParseMessageID(message)
	if err != nil {
		return protocol.NotFound("message %.80q", message)
	}
	found, err := o.store.Range(ctx, id, seq, seq, 1, 0)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].Kind != protocol.Kind_MESSAGE {
		return protocol.NotFound("message %.80s", message)
	}
	if err := o.users.Recalled(ctx, by, message); err != nil {
		return err
	}
	return o.node.Recall(ctx, message)
}

// exportTo writes a user's data into a file, which there must not be yet.
func (o *operator) exportTo(ctx context.Context, by string, user protocol.UserID, file string) error {
	if !filepath.IsAbs(file) {
		return protocol.BadRequest("%s is no absolute path", file)
	}
	if err := o.mayExport(ctx, by, user); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(o.export(ctx, user, f), f.Sync(), f.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// eraseUser erases a user and returns when all is done.
func (o *operator) eraseUser(ctx context.Context, by string, user protocol.UserID, messages string) error {
	if messages == "" {
		messages = o.erase
	}
	e, err := o.users.BeginErasure(ctx, by, user, messages)
	if err != nil {
		return err
	}
	return o.goOn(ctx, e)
}

// goOn does all steps of an erasure. Each may have been done before: after a crash all
// of them are done again.
func (o *operator) goOn(ctx context.Context, e *userctr.Erasure) error {
	failed := func(what string, err error) error {
		return fmt.Errorf("erase %s, which goes on at the next start: %s: %w", e.User, what, err)
	}
	if err := o.users.Shut(ctx, e.User); err != nil { // a crash may have come before that
		return failed("shutting it out", err)
	}
	if err := o.users.Hide(ctx, e.User); err != nil {
		return failed("its pictures", err)
	}
	ids, err := o.store.SessionsOf(ctx, e.User)
	if err != nil {
		return failed("its sessions", err)
	}
	for _, id := range ids {
		_, err := o.node.Ask(ctx, protocol.Identity{User: e.User}, &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: id}}})
		switch {
		case err == nil, protocol.Code_NOT_FOUND.Is(err):
		case protocol.Code_DENIED.Is(err): // two people's, or the system's: the other one keeps it
		default:
			return failed("leaving "+id, err)
		}
	}
	all, err := o.users.MergedInto(ctx, e.User) // the guests that it was before bear its name
	if err != nil {
		return failed("the guests that it was", err)
	}
	for _, id := range append(all, e.User) {
		if e.Messages == userctr.TombstoneMessages { // no more are to come, so this finds all of them
			if err := o.eraseMessages(ctx, id); err != nil {
				return failed("messages", err)
			}
		}
		if err := o.files.Abandon(ctx, id); err != nil {
			return failed("files", err)
		}
		if err := o.users.Forget(ctx, id); err != nil && !(id != e.User && protocol.Code_NOT_FOUND.Is(err)) {
			return failed("its profile", err)
		}
	}
	if err := o.files.Sweep(ctx); err != nil {
		return failed("its pictures' contents", err)
	}
	if err := o.users.EndErasure(ctx, e.User); err != nil {
		return failed("what is left in files", err)
	}
	return nil
}

func (o *operator) eraseMessages(ctx context.Context, user protocol.UserID) error {
	seqs := map[protocol.SessionID][]int64{}
	err := o.store.WrittenBy(ctx, user, func(session protocol.SessionID, e *protocol.Entry) error {
		if e.Content != nil {
			seqs[session] = append(seqs[session], e.Seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for session, of := range seqs {
		if err := o.node.EraseMessages(ctx, session, user, of); err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
	}
	return nil
}

// goOnErasing finishes the erasures that a stop or a crash has interrupted.
func (o *operator) goOnErasing(ctx context.Context) {
	all, err := o.users.Erasures(ctx)
	if err != nil {
		o.log.Error("who is being erased", "err", err)
	}
	for _, e := range all {
		if err := o.goOn(ctx, e); err != nil && ctx.Err() == nil {
			o.log.Error("an erasure is not finished", "user", e.User, "err", err)
		}
	}
}
