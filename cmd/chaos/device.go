package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// device is one client of one user: it connects, asks, records what it is told,
// and when the connection breaks resumes and asks again for what it has no answer to.
type device struct {
	run  *run
	name string // user.number
	user string
	rec  *history.Recorder

	mu      sync.Mutex
	rng     *rand.Rand
	conn    *websocket.Conn
	connNo  int
	node    string            // where conn leads to
	shuns   string            // the node that answered nothing last
	leaving bool              // the node asked to come back later: nothing more is asked of it
	pending map[string]*asked // by frame id
	order   []*asked          // of pending, as asked
	again   []*asked          // messages without an answer, to be sent again first
	copies  chan *asked       // messages of another device of the user, to be sent as duplicates
	sibling *device           // another device of the user, or nil
	epoch   string
	offset  int64
	have    map[string]int64 // by session: the highest seq had
	mine    []*asked         // acknowledged messages, newest last
	counter int
}

// asked is one request.
type asked struct {
	op    int64
	event history.Event // as invoked
	id    string        // of the message, once acknowledged
	frame map[string]any
	done  func(f *frame) // called with the answer, the device locked
}

// dialTimeout is for a whole connect with auth; a server that starts needs less.
const dialTimeout = 10 * time.Second

// patience is how long a device of an installation waits for an answer before it tries
// another node.
const patience = 8 * time.Second

// connect opens a connection and authenticates, resuming from the last position unless fresh.
func (d *device) connect(ctx context.Context, fresh bool) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d.mu.Lock()
	places := d.run.site.places()
	if others := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.node == d.shuns }); len(others) > 0 {
		places = others
	}
	at := places[d.rng.IntN(len(places))]
	d.mu.Unlock()
	dialed := d.run.now()
	fails := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.shuns = at.node
		e := d.event(history.Missed)
		e.Node, e.Began = at.node, dialed
		d.rec.Add(e)
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+at.address+"/ws", nil)
	if err != nil {
		fails()
		return err
	}
	conn.SetReadLimit(16 << 20)
	auth := map[string]any{"type": "auth", "id": "auth", "token": token(d.run.secret, d.user), "device": d.name, "platform": "chaos"}
	d.mu.Lock()
	from := int64(-1)
	if !fresh && d.epoch != "" {
		from = d.offset
		auth["resume"] = map[string]any{"epoch": d.epoch, "offset": d.offset}
	}
	d.mu.Unlock()
	data, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	began := d.run.now()
	if err := conn.Write(ctx, websocket.MessageText, data); err != nil {
		fails()
		return err
	}
	f, err := readFrame(ctx, conn)
	if err != nil || f.Type != "auth_reply" || f.Errcode != 0 {
		conn.CloseNow()
		fails()
		return fmt.Errorf("auth of %s: %v, answer %+v", d.name, err, f)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn, d.epoch, d.node, d.shuns, d.leaving = conn, f.Epoch, at.node, "", false
	d.connNo++
	open := d.event(history.Open)
	open.Epoch, open.Resumed, open.Began, open.Offset, open.From = f.Epoch, f.Resumed, began, max(f.OffsetNow, f.Offset), max(from, 0)
	if !f.Resumed {
		d.offset = open.Offset
	}
	if f.Snapshot != nil {
		open.Rows, open.Total, open.Next = seenRows(f.Snapshot.Sessions), f.Snapshot.UnreadTotal, f.Snapshot.Next != ""
	}
	d.rec.Add(open)
	if f.Snapshot != nil {
		known := d.have
		d.have = map[string]int64{}
		for _, row := range f.Snapshot.Sessions {
			d.have[row.Session] = row.HeadSeq
			if was, ok := known[row.Session]; ok && was < row.HeadSeq {
				d.sync(row.Session, was)
			}
		}
	}
	return nil
}

func readFrame(ctx context.Context, conn *websocket.Conn) (*frame, error) {
	_, data, err := conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	f := &frame{}
	return f, json.Unmarshal(data, f)
}

// event begins an event of this device, now. The device is locked.
func (d *device) event(what string) *history.Event {
	return &history.Event{T: d.run.now(), What: what, Client: d.name, User: d.user, Conn: d.connNo, Node: d.node}
}

// read takes frames until the connection ends, then settles what was pending.
func (d *device) read(ctx context.Context) {
	conn := d.conn
	for {
		f, err := readFrame(ctx, conn)
		if err != nil {
			break
		}
		d.mu.Lock()
		d.take(f)
		d.mu.Unlock()
	}
	conn.CloseNow()
	d.mu.Lock()
	defer d.mu.Unlock()
	var again []*asked // these were asked before what still waits to be asked again
	for _, a := range d.order {
		e := d.end(a, history.Info)
		d.rec.Add(e)
		if a.event.Verb == history.Send && d.rng.IntN(10) > 0 { // some are given up: nobody will ever know
			again = append(again, a)
		}
	}
	d.again = append(again, d.again...)
	d.pending, d.order, d.conn = map[string]*asked{}, nil, nil
	d.rec.Add(d.event(history.Closed))
}

func (d *device) end(a *asked, what string) *history.Event {
	e := d.event(what)
	e.Op, e.Verb, e.Session, e.Cmid = a.op, a.event.Verb, a.event.Session, a.event.Cmid
	return e
}

// take records one frame.
func (d *device) take(f *frame) {
	if f.Type == "msg_push" {
		e := d.event(history.Push)
		e.Entry, e.Offset = f.entry.seen(), f.Offset
		d.offset = max(d.offset, f.Offset)
		d.have[f.Session] = max(d.have[f.Session], f.Seq)
		d.rec.Add(e)
		return
	}
	if a := d.pending[f.ID]; a != nil {
		d.answer(a, f)
		return
	}
	e := d.event("")
	e.Session, e.Offset = f.Session, f.Offset
	d.offset = max(d.offset, f.Offset)
	switch f.Type {
	case "receipt":
		e.What, e.By, e.ReadSeq = history.Receipt, f.UserID, f.ReadSeq
		if f.ReadSeq == 0 {
			return
		}
	case "unread":
		e.What, e.ReadSeq, e.Unread, e.Total = history.Unread, f.ReadSeq, f.Unread, f.UnreadTotal
	case "heartbeat_reply":
		e.What, e.Heads = history.Heads, f.Heads
	case "session_update":
		e.What, e.Gone = history.Update, string(f.Gone) == "true"
		if e.Gone {
			delete(d.have, f.Session)
		} else if f.Head != nil {
			e.Rows = seenRows([]row{*f.Head})
			d.have[f.Session] = max(d.have[f.Session], f.Head.HeadSeq)
		}
	case "goaway":
		d.leaving = true
		return
	default:
		return
	}
	d.rec.Add(e)
}

// answer records the end of a request. An INTERNAL error says nothing about
// whether it was done.
func (d *device) answer(a *asked, f *frame) {
	delete(d.pending, f.ID)
	d.order = slices.DeleteFunc(d.order, func(o *asked) bool { return o == a })
	e := d.end(a, history.OK)
	switch {
	case f.Code == "INTERNAL":
		e.What, e.Code = history.Info, f.Code
	case f.Errcode != 0:
		e.What, e.Code = history.Fail, f.Code
	}
	e.Seq, e.ID, e.CreatedAt, e.Duplicate = f.Seq, f.MessagerecvID, f.CreatedAt, f.Duplicate
	e.Head, e.More, e.GoneUpTo, e.Entries, e.ReadSeq = f.HeadSeq, f.HasMore, f.goneUpTo(), seenAll(f.Messages), f.ReadSeq
	d.offset = max(d.offset, f.Offset)
	if e.What == history.OK {
		switch a.event.Verb {
		case history.Create:
			e.Session = f.Result[0]
		case history.Send:
			a.id = f.MessagerecvID
			if d.mine = append(d.mine, a); len(d.mine) > 100 {
				d.mine = d.mine[50:]
			}
			d.have[a.event.Session] = max(d.have[a.event.Session], f.Seq)
		case history.Sync:
			if f.HasMore && len(f.Messages) > 0 {
				defer d.sync(a.event.Session, f.Messages[len(f.Messages)-1].Seq)
			}
		}
	}
	d.rec.Add(e)
	if a.done != nil {
		a.done(f)
	}
}

// ask sends a request and records it. The device is locked and has a connection.
func (d *device) ask(e history.Event, fields map[string]any) *asked {
	a := &asked{op: d.run.nextOp(), event: e, frame: fields}
	id := strconv.FormatInt(a.op, 10)
	fields["id"] = id
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings and numbers
	}
	a.event.T, a.event.What, a.event.Client, a.event.User, a.event.Conn = d.run.now(), history.Invoke, d.name, d.user, d.connNo
	a.event.Node = d.node
	a.event.Op = a.op
	recorded := a.event
	d.rec.Add(&recorded)
	if d.pending == nil {
		d.pending = map[string]*asked{}
	}
	d.pending[id] = a
	d.order = append(d.order, a)
	d.write(data)
	return a
}

// write gives bytes to the socket; when that fails the reader sees the end and settles.
func (d *device) write(data []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := d.conn.Write(ctx, websocket.MessageText, data); err != nil {
		d.conn.CloseNow()
	}
}

func (d *device) sync(session string, after int64) {
	d.ask(history.Event{Verb: history.Sync, Session: session, After: after},
		map[string]any{"type": "sync", "session": session, "afterSeq": after, "limit": 200})
}

// tell sends a frame whose answer nobody waits for.
func (d *device) tell(fields map[string]any) {
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings and numbers
	}
	d.write(data)
}

// overdue says whether a request has waited for its answer for longer than anybody
// does: then the connection leads nowhere, though nobody said so.
func (d *device) overdue() bool {
	return d.run.Cluster.Patience > 0 && len(d.order) > 0 && d.run.now()-d.order[0].event.T > int64(d.run.Cluster.Patience)
}

// settled says whether the device is connected and has an answer to everything.
func (d *device) settled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn != nil && len(d.pending) == 0 && len(d.again) == 0
}

// haves gives the highest seq had of each session.
func (d *device) haves() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.have)
}
