package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// inFlight is how many requests of one device may wait for an answer.
const inFlight = 5

// live keeps the device connected and asking until ctx ends: at random moments,
// on the average pause apart, it does something at random. After play ends it
// stays connected and only finishes what has no answer.
func (d *device) live(ctx, play context.Context, pause time.Duration) {
	for ctx.Err() == nil {
		d.mu.Lock()
		fresh := d.rng.IntN(4) == 0 && d.connNo > 0
		d.mu.Unlock()
		if err := d.connect(ctx, fresh); err != nil {
			d.wait(ctx, 20*time.Millisecond)
			continue
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.read(ctx)
		}()
		d.act(ctx, play, ended, pause)
		d.mu.Lock()
		if d.conn != nil {
			d.conn.CloseNow()
		}
		d.mu.Unlock()
		<-ended
	}
}

// wait pauses for half to one and a half of about, or hardly while there is a rush.
func (d *device) wait(ctx context.Context, about time.Duration) {
	d.mu.Lock()
	left := about/2 + time.Duration(d.rng.Int64N(int64(about)))
	d.mu.Unlock()
	const look = 5 * time.Millisecond // for a rush, at least so often
	for left > 0 && ctx.Err() == nil {
		step := min(left, look)
		if left -= step; d.run.rush.Load() {
			step, left = time.Millisecond, 0
		}
		time.Sleep(step)
	}
}

// act asks until the connection ends or the device leaves it.
func (d *device) act(ctx, play context.Context, ended chan struct{}, pause time.Duration) {
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		default:
		}
		d.wait(ctx, pause)
		d.mu.Lock()
		stay := true
		switch {
		case d.overdue():
			stay, d.shuns = false, d.node
		case d.leaving && len(d.pending) == 0:
			stay = false
		case d.conn == nil || d.leaving || len(d.pending) >= inFlight:
		case len(d.again) > 0:
			a := d.again[0]
			d.again = d.again[1:]
			d.repeat(a, a.event.Text)
		case play.Err() == nil:
			stay = d.something()
		default:
			d.heartbeat()
		}
		d.mu.Unlock()
		if !stay {
			return
		}
	}
}

// something does one thing at random; false is to break the connection.
func (d *device) something() bool {
	sessions := slices.Sorted(maps.Keys(d.have))
	if len(sessions) == 0 {
		d.heartbeat()
		return true
	}
	session := sessions[d.rng.IntN(len(sessions))]
	if session == d.run.busy && d.rng.IntN(2) == 0 { // the large sessions cost most deliveries
		session = sessions[d.rng.IntN(len(sessions))]
	}
	select {
	case a := <-d.copies:
		d.repeat(a, a.event.Text)
		return true
	default:
	}
	switch n := d.rng.IntN(1000); {
	case n < 700:
		d.send(session)
	case n < 725:
		d.change(n < 710)
	case n < 745:
		d.react()
	case n < 850:
		d.markRead(session)
	case n < 900:
		d.received(session)
	case n < 940:
		d.sync(session, max(0, d.have[session]-int64(d.rng.IntN(60))))
	case n < 960:
		d.heartbeat()
	case n < 970 && len(d.mine) > 0: // the same id with other text
		d.repeat(d.mine[d.rng.IntN(len(d.mine))], "not what was sent")
	case n < 980:
		d.changeMembers()
	default:
		return false
	}
	return true
}

// send asks for a new message; 5 of 100 are asked for twice, here or by the
// user's other device.
func (d *device) send(session string) {
	d.counter++
	cmid, text := fmt.Sprintf("%s-%d", d.name, d.counter), fmt.Sprintf("%s says %d", d.name, d.counter)
	if d.rng.IntN(50) == 0 { // what others call theirs is no reason to refuse
		cmid = fmt.Sprintf("shared-%d", d.rng.IntN(1000))
		text = fmt.Sprintf("%s says %d", d.user, d.counter)
	}
	a := d.ask(history.Event{Verb: history.Send, Session: session, Cmid: cmid, Text: text}, map[string]any{
		"type": "msg_send", "session": session, "clientMsgId": cmid, "content": content{"text", text},
	})
	switch d.rng.IntN(40) {
	case 0:
		d.repeat(a, text)
	case 1:
		if d.sibling != nil {
			select {
			case d.sibling.copies <- a:
			default:
			}
		}
	}
}

// repeat asks for a message again under its id.
func (d *device) repeat(a *asked, text string) {
	e := history.Event{Verb: history.Send, Session: a.event.Session, Cmid: a.event.Cmid, Text: text}
	d.ask(e, map[string]any{
		"type": "msg_send", "session": e.Session, "clientMsgId": e.Cmid, "content": content{"text", text},
	})
}

// change edits or recalls a message of this device.
func (d *device) change(edit bool) {
	if len(d.mine) == 0 {
		return
	}
	a := d.mine[d.rng.IntN(len(d.mine))]
	e := history.Event{Verb: history.Recall, Session: a.event.Session, Target: a.id}
	fields := map[string]any{"type": "msg_cancel", "session": e.Session, "messagerecvId": a.id}
	if edit {
		d.counter++
		e.Verb, e.Text = history.Edit, fmt.Sprintf("%s says %d instead", d.name, d.counter)
		fields["type"], fields["content"] = "msg_edit", content{"text", e.Text}
	}
	d.ask(e, fields)
}

func (d *device) react() {
	if len(d.mine) == 0 {
		return
	}
	a := d.mine[d.rng.IntN(len(d.mine))]
	d.counter++
	d.ask(history.Event{Verb: history.React, Session: a.event.Session, Target: a.id}, map[string]any{
		"type": "msg_react", "session": a.event.Session, "messagerecvId": a.id, "reaction": fmt.Sprintf("r%d", d.counter),
	})
}

// markRead asks for a read mark somewhere up to what it has, often behind the last one.
func (d *device) markRead(session string) {
	seq := d.have[session] - int64(d.rng.IntN(5))
	if seq < 1 {
		return
	}
	d.ask(history.Event{Verb: history.Read, Session: session, Seq: seq}, map[string]any{"type": "msg_read", "session": session, "seq": seq})
}

func (d *device) received(session string) {
	d.tell(map[string]any{"type": "msg_recv", "session": session, "seq": d.have[session]})
}

func (d *device) heartbeat() { d.tell(map[string]any{"type": "heartbeat"}) }

// changeMembers adds or removes one of those who come and go, if it is this user's to do.
func (d *device) changeMembers() {
	r := d.run
	if d.user != r.owner || len(r.guests) == 0 || d.have[r.changing] == 0 {
		return
	}
	guest := r.guests[d.rng.IntN(len(r.guests))]
	verb, kind := history.Add, "session_add_user"
	if d.rng.IntN(2) == 0 {
		verb, kind = history.Remove, "session_remove_user"
	}
	d.ask(history.Event{Verb: verb, Session: r.changing, Members: []string{guest}},
		map[string]any{"type": kind, "session": r.changing, "members": []string{guest}})
}
