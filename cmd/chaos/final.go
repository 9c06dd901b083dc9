package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// reader is a fresh connection for the final reads: it asks one thing at a time.
type reader struct {
	conn *websocket.Conn
	user string
	next int
}

func (r *run) newReader(ctx context.Context, at place, user string) (*reader, *frame, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+at.address+"/ws", nil)
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadLimit(16 << 20)
	rd := &reader{conn: conn, user: user}
	f, err := rd.ask(ctx, map[string]any{"type": "auth", "token": token(r.secret, user), "device": user + ".reader"})
	if err == nil && (f.Errcode != 0 || f.Snapshot == nil) {
		err = fmt.Errorf("auth of %s: no list in the answer (%s %s)", user, f.Code, f.Error)
	}
	if err != nil {
		conn.CloseNow()
	}
	return rd, f, err
}

// ask sends a request and gives its answer, whatever else comes meanwhile.
func (r *reader) ask(ctx context.Context, fields map[string]any) (*frame, error) {
	r.next++
	id := fmt.Sprint(r.next)
	fields["id"] = id
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := r.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return nil, err
	}
	for {
		f, err := readFrame(ctx, r.conn)
		if err != nil || f.ID == id {
			return f, err
		}
	}
}

// patiently does op until it succeeds, a few times: a server that has just been through
// something may say that it is busy, or not answer. What it never says is an error.
func patiently(ctx context.Context, what string, op func(context.Context) error) error {
	const tries, each = 4, 30 * time.Second
	var err error
	for n := range tries {
		if n > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		within, cancel := context.WithTimeout(ctx, each)
		err = op(within)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// finalReads reads every session as every user over new connections, from the
// first entry, and by REST, and every user's list by both: each user at another node,
// and by REST at another one again.
func (r *run) finalReads(ctx context.Context, sessions, users []string) error {
	places := r.site.places()
	for i, user := range users {
		at, other := places[i%len(places)], places[(i+1)%len(places)].address
		var homes []history.Home
		var logs []history.Log
		err := patiently(ctx, "final reads of "+user, func(ctx context.Context) (err error) {
			homes, logs, err = r.readAs(ctx, at, other, user, sessions)
			return err
		})
		if err != nil {
			return err
		}
		r.history.Homes, r.history.Reads = append(r.history.Homes, homes...), append(r.history.Reads, logs...)
	}
	return nil
}

// readAs reads all that user can, at one place, and by REST at another.
func (r *run) readAs(ctx context.Context, at place, other, user string, sessions []string) (homes []history.Home, logs []history.Log, err error) {
	rd, welcome, err := r.newReader(ctx, at, user)
	if err != nil {
		return nil, nil, err
	}
	defer rd.conn.CloseNow()
	home, err := rd.home(ctx, welcome)
	if err != nil {
		return nil, nil, fmt.Errorf("the list: %w", err)
	}
	homes = append(homes, home)
	for _, session := range sessions {
		log, err := rd.readAll(ctx, session)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", session, err)
		}
		logs = append(logs, log)
		if log, err = r.restLog(ctx, other, user, session); err != nil {
			return nil, nil, fmt.Errorf("%s by REST: %w", session, err)
		}
		logs = append(logs, log)
	}
	if home, err = r.restHome(ctx, other, user); err != nil {
		return nil, nil, fmt.Errorf("the list by REST: %w", err)
	}
	return append(homes, home), logs, nil
}

// homes reads only the lists, after a restart.
func (r *run) homes(ctx context.Context, users []string) error {
	places := r.site.places()
	for i, user := range users {
		err := patiently(ctx, "the list of "+user+" after a restart", func(ctx context.Context) error {
			rd, welcome, err := r.newReader(ctx, places[i%len(places)], user)
			if err != nil {
				return err
			}
			defer rd.conn.CloseNow()
			home, err := rd.home(ctx, welcome)
			if err != nil {
				return err
			}
			home.Path = "ws after a restart"
			r.history.Homes = append(r.history.Homes, home)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// busy is the code of an answer that says only that there will be another one later.
const busy = "BUSY"

// home is the list that came with auth, and what of it did not fit there.
func (r *reader) home(ctx context.Context, welcome *frame) (history.Home, error) {
	home := history.Home{Path: "ws", User: r.user, Rows: seenRows(welcome.Snapshot.Sessions), Total: welcome.Snapshot.UnreadTotal}
	for next := welcome.Snapshot.Next; next != ""; {
		f, err := r.ask(ctx, map[string]any{"type": "session_list", "cursor": next})
		if err != nil {
			return home, err
		}
		home.Rows = append(home.Rows, seenRows(f.Sessions)...)
		next = f.Next
	}
	return home, nil
}

func (r *reader) readAll(ctx context.Context, session string) (history.Log, error) {
	log := history.Log{Path: "ws", User: r.user, Session: session}
	for after := int64(0); ; {
		f, err := r.ask(ctx, map[string]any{"type": "sync", "session": session, "afterSeq": after, "limit": 200})
		if err != nil {
			return log, err
		}
		if f.Code == busy {
			return log, fmt.Errorf("it is %s: %s", f.Code, f.Error)
		}
		if f.Errcode != 0 {
			log.Refused = f.Code
			return log, nil
		}
		log.Head, log.Gone = f.HeadSeq, max(log.Gone, f.goneUpTo())
		log.Entries = append(log.Entries, seenAll(f.Messages)...)
		if !f.HasMore || len(f.Messages) == 0 {
			return log, nil
		}
		after = f.Messages[len(f.Messages)-1].Seq
	}
}

// restEntry is an entry as REST says it: with RFC 3339 times.
type restEntry struct {
	entry
	CreatedAt time.Time `json:"createdAt"`
}

// restLog pages through a session's messages by REST.
func (r *run) restLog(ctx context.Context, at, user, session string) (history.Log, error) {
	log := history.Log{Path: "rest", User: user, Session: session}
	for cursor := ""; ; {
		path := "/api/v2/sessions/" + session + "/messages?limit=200"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		var page struct {
			Items   []*restEntry `json:"items"`
			Next    string       `json:"next"`
			HeadSeq int64        `json:"headSeq"`
			Code    string       `json:"code"`
		}
		status := 0
		_, err := r.get(ctx, at, user, path, func(code int, body []byte) error {
			status = code
			return json.Unmarshal(body, &page)
		})
		if err != nil {
			return log, err
		}
		if page.Code == busy {
			return log, fmt.Errorf("GET %s: it is %s", path, page.Code)
		}
		if status != http.StatusOK {
			log.Refused = page.Code
			return log, nil
		}
		log.Head = max(log.Head, page.HeadSeq)
		for _, e := range page.Items {
			e.entry.CreatedAt = e.CreatedAt.UnixMilli()
			log.Entries = append(log.Entries, e.seen())
		}
		if cursor = page.Next; cursor == "" || len(page.Items) == 0 {
			break
		}
	}
	slices.SortStableFunc(log.Entries, func(a, b *history.Entry) int { return int(a.Seq - b.Seq) }) // the newest page came first
	if n := len(log.Entries); n > 0 && log.Head == 0 {
		log.Head = log.Entries[n-1].Seq
	}
	return log, nil
}

// restHome reads a user's list and the total of what is unread.
func (r *run) restHome(ctx context.Context, at, user string) (history.Home, error) {
	home := history.Home{Path: "rest", User: user}
	for cursor := ""; ; {
		path := "/api/v2/sessions/recent?limit=100"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		var page struct {
			Items []row  `json:"items"`
			Next  string `json:"next"`
		}
		ok, err := r.get(ctx, at, user, path, func(_ int, body []byte) error { return json.Unmarshal(body, &page) })
		if err != nil || !ok {
			return home, fmt.Errorf("GET %s: %w", path, err)
		}
		home.Rows = append(home.Rows, seenRows(page.Items)...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	var total struct {
		Count *int64 `json:"count"`
	}
	path := "/api/v2/sessions/unread_message_count"
	ok, err := r.get(ctx, at, user, path, func(_ int, body []byte) error { return json.Unmarshal(body, &total) })
	switch {
	case err != nil || !ok:
		return home, fmt.Errorf("GET %s: %w", path, err)
	case total.Count != nil:
		home.Total = *total.Count
	default:
		return home, fmt.Errorf("GET %s: no count in the answer", path)
	}
	return home, nil
}

// dump has the other program read the store: a directory, or a database.
func (r *run) dump(ctx context.Context, binary, store string) error {
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, store)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	return json.Unmarshal(out.Bytes(), &r.history.Dump)
}

// dumpTimeout is far over what reading a run's store takes.
const dumpTimeout = 3 * time.Minute
