package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-im/troupe/internal/protocol"
)

func text(session, s string) *protocol.MsgSend {
	return &protocol.MsgSend{Session: session, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: s}}
}

func oneTo(n int64) (out []int64) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

func TestClientHandsOnEntriesInBothEncodings(t *testing.T) {
	for _, binary := range []bool{false, true} {
		f := newFake(t)
		c, h := open(t, f, func(c *Config) { c.Binary = binary; c.Backlog = -1 })
		if f.last().binary != binary {
			t.Errorf("binary %v: the connection is not", binary)
		}
		f.write("s", 3, all)
		h.until(t, "three entries", func(e []Event) bool { return slices.Equal(seqs(e, "s"), oneTo(3)) })
		a, err := c.Send(t.Context(), text("s", "mine"))
		if err != nil || a.Seq != 4 || c.User() != "ann" {
			t.Errorf("Send = %v, %v as %s", a, err, c.User())
		}
		f.write("s", 1, all)
		h.until(t, "one's own in its place", func(e []Event) bool { return slices.Equal(seqs(e, "s"), oneTo(5)) })
		if f.syncs != 0 {
			t.Errorf("%d syncs, though nothing was missing", f.syncs)
		}
	}
}

func TestClientFillsHolesBeforeItGoesOn(t *testing.T) {
	f := newFake(t)
	f.write("s", 2, nil)
	_, h := open(t, f, nil) // backlog 0: begins behind 2
	f.write("s", 20, func(seq int64) bool { return seq%7 == 0 })
	h.until(t, "everything up to 21", func(e []Event) bool {
		got := seqs(e, "s")
		return len(got) >= 19 && slices.Equal(got[:19], oneTo(21)[2:])
	})
}

func TestClientFindsALostTailByTheHeartbeat(t *testing.T) {
	f := newFake(t)
	f.answer = func(c *fakeConn, in *protocol.Frame) bool {
		if a := in.GetAuth(); a != nil {
			c.say(&protocol.Frame{Id: in.Id, Body: &protocol.Frame_AuthReply{AuthReply: &protocol.AuthReply{
				UserId: "ann", Connection: "c", HeartbeatMs: 20, Epoch: "e", ServerTime: 1, Snapshot: f.snapshot(),
			}}})
			return true
		}
		return false
	}
	f.write("s", 1, nil)
	_, h := open(t, f, nil)
	f.write("s", 3, nil) // told to nobody
	h.until(t, "the tail", func(e []Event) bool { return slices.Equal(seqs(e, "s"), []int64{2, 3, 4}) })
}

func TestClientSaysWhatIsGone(t *testing.T) {
	f := newFake(t)
	f.write("s", 5, nil)
	f.answer = func(c *fakeConn, in *protocol.Frame) bool {
		s := in.GetSync()
		if s == nil {
			return false
		}
		c.say(&protocol.Frame{Id: in.Id, Body: &protocol.Frame_SyncReply{SyncReply: &protocol.SyncReply{
			Session: "s", Messages: f.logs["s"][3:], HeadSeq: 5, Gone: &protocol.Gone{UpTo: 3},
		}}})
		return true
	}
	_, h := open(t, f, func(c *Config) { c.Backlog = -1 })
	h.until(t, "what is gone and what is left", func(e []Event) bool { return slices.Equal(seqs(e, "s"), []int64{-3, 4, 5}) })
}

func TestClientForgetsALogThatWentBack(t *testing.T) {
	f := newFake(t)
	f.write("s", 2, nil)
	_, h := open(t, f, func(c *Config) { c.Backlog = -1 })
	h.until(t, "two entries", func(e []Event) bool { return len(seqs(e, "s")) == 2 })
	f.mu.Lock()
	head := &protocol.SessionHead{Session: "s", HeadSeq: 2, Epoch: "log2"}
	f.mu.Unlock()
	f.last().say(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{Session: "s", Head: head}}})
	h.until(t, "a reset and both again", func(e []Event) bool {
		return count[*Reset](e) == 1 && slices.Equal(seqs(e, "s"), []int64{1, 2, 1, 2})
	})
}

func TestClientComesBackAndResumes(t *testing.T) {
	f := newFake(t)
	f.resume = true
	_, h := open(t, f, nil)
	f.write("s", 2, all)
	h.until(t, "two entries", func(e []Event) bool { return len(seqs(e, "s")) == 2 })
	f.last().ws.Close(4000, "restart")
	h.until(t, "a second sign-in", func(e []Event) bool { return count[*Connected](e) == 2 })
	f.mu.Lock()
	r := f.auths[1].Resume
	f.mu.Unlock()
	if r == nil || r.Epoch != "e1" || r.Offset != 2 {
		t.Errorf("resume = %v, want e1 at 2", r)
	}
	f.write("s", 1, all)
	h.until(t, "the third entry", func(e []Event) bool { return slices.Equal(seqs(e, "s"), oneTo(3)) })
}

func TestClientWithoutResumeFetchesWhatItMissed(t *testing.T) {
	f := newFake(t)
	_, h := open(t, f, nil)
	f.write("s", 2, all)
	h.until(t, "two entries", func(e []Event) bool { return len(seqs(e, "s")) == 2 })
	f.last().ws.CloseNow()
	f.write("s", 5, nil)
	h.until(t, "all seven", func(e []Event) bool { return slices.Equal(seqs(e, "s"), oneTo(7)) })
}

func TestClientForgetsItsPositionWhenTold(t *testing.T) {
	f := newFake(t)
	f.resume = true
	_, h := open(t, f, nil)
	f.last().ws.Close(4002, "forget")
	h.until(t, "a second sign-in", func(e []Event) bool { return count[*Connected](e) == 2 })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.auths[1].Resume != nil {
		t.Errorf("resume = %v after 4002", f.auths[1].Resume)
	}
}

func TestClientStopsWhenToldNotToComeBack(t *testing.T) {
	for _, code := range []websocket.StatusCode{4501, 4509, 4526} {
		f := newFake(t)
		c, _ := open(t, f, nil)
		f.last().ws.Close(code, "no")
		<-c.Done()
		var ce *CloseError
		if !errors.As(c.Err(), &ce) || ce.Code != int(code) {
			t.Errorf("%d: Err() = %v", code, c.Err())
		}
		if _, err := c.Request(t.Context(), &protocol.Frame{Body: &protocol.Frame_Heartbeat{Heartbeat: &protocol.Heartbeat{}}}); !errors.As(err, &ce) {
			t.Errorf("%d: Request = %v", code, err)
		}
	}
}

func TestClientSpreadsItsReturnAsGoawaySays(t *testing.T) {
	f := newFake(t)
	_, h := open(t, f, nil)
	c := f.last()
	c.say(&protocol.Frame{Body: &protocol.Frame_Goaway{Goaway: &protocol.Goaway{RetryInMs: 3}}})
	c.ws.Close(4000, "restart")
	h.until(t, "a second sign-in", func(e []Event) bool { return count[*Connected](e) == 2 })
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if d, ok := e.(*Disconnected); ok && d.Retry > 3*time.Millisecond {
			t.Errorf("retry in %s", d.Retry)
		}
	}
}

func TestClientRenewsATokenThatIsRefused(t *testing.T) {
	f := newFake(t)
	f.answer = func(c *fakeConn, in *protocol.Frame) bool {
		if a := in.GetAuth(); a != nil && a.Token != "new" {
			c.say(protocol.Fail(in, protocol.Errorf(protocol.Code_TOKEN_EXPIRED, "too old")))
			c.ws.Close(4001, "too old")
			return true
		}
		return false
	}
	renewals := 0
	open(t, f, func(c *Config) {
		c.Refresh = func(context.Context) (string, error) { renewals++; return "new", nil }
	})
	if renewals != 1 {
		t.Errorf("%d renewals", renewals)
	}
}

func TestClientWithARefusedTokenDoesNotOpen(t *testing.T) {
	for name, refresh := range map[string]func(context.Context) (string, error){
		"no refresh":               nil,
		"refresh is refused":       func(context.Context) (string, error) { return "", protocol.Unauthorized("no") },
		"the new one is no better": func(context.Context) (string, error) { return "bad", nil },
	} {
		f := newFake(t)
		f.answer = func(c *fakeConn, in *protocol.Frame) bool {
			c.say(protocol.Fail(in, protocol.Unauthorized("no")))
			return true
		}
		if _, err := Open(t.Context(), Config{URL: f.url, Token: "t", Refresh: refresh}); !protocol.Code_UNAUTHORIZED.Is(err) {
			t.Errorf("%s: Open = %v", name, err)
		}
	}
}

func TestSendRepeatsWithTheSameIDUntilAnswered(t *testing.T) {
	f := newFake(t)
	var ids []string
	f.answer = func(c *fakeConn, in *protocol.Frame) bool {
		m := in.GetMsgSend()
		if m == nil {
			return false
		}
		ids = append(ids, m.ClientMsgId)
		switch len(ids) {
		case 1:
			c.ws.CloseNow() // as if the answer was lost
			return true
		case 2:
			c.say(protocol.Fail(in, &protocol.Error{Code: protocol.Code_RATE_LIMITED, RetryAfterMs: 1}))
			return true
		}
		return false
	}
	c, _ := open(t, f, nil)
	a, err := c.Send(t.Context(), text("s", "once"))
	if err != nil || a.Seq != 1 {
		t.Fatalf("Send = %v, %v", a, err)
	}
	if len(ids) != 3 || ids[0] == "" || ids[1] != ids[0] || ids[2] != ids[0] {
		t.Errorf("client message ids %q", ids)
	}
}

func TestSendsIntoOneSessionKeepTheirOrder(t *testing.T) {
	f := newFake(t)
	c, _ := open(t, f, nil)
	var ends []chan error
	for i := range 20 {
		end := make(chan error, 1)
		ends = append(ends, end)
		queued := make(chan struct{})
		c.mu.Lock()
		before := c.sending["s"]
		c.mu.Unlock()
		go func() {
			close(queued)
			_, err := c.Send(t.Context(), text("s", fmt.Sprint(i)))
			end <- err
		}()
		<-queued
		waitFor(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			f.mu.Lock()
			defer f.mu.Unlock()
			return c.sending["s"] != before || len(f.logs["s"]) > i
		})
	}
	for _, end := range ends {
		if err := <-end; err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range f.logs["s"] {
		if e.Content.Text != fmt.Sprint(i) {
			t.Errorf("entry %d is %s", i, e.Content.Text)
		}
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func TestClientAcknowledgesWhatItGot(t *testing.T) {
	f := newFake(t)
	open(t, f, nil)
	f.write("s", 5, all)
	waitFor(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.acked["s"] == 5
	})
}

func TestRequestGivesTheServersRefusal(t *testing.T) {
	f := newFake(t)
	c, _ := open(t, f, nil)
	_, err := c.Request(t.Context(), &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: "s"}}})
	if !protocol.Code_BAD_REQUEST.Is(err) {
		t.Errorf("Request = %v", err)
	}
	f.mu.Lock()
	f.answer = func(c *fakeConn, in *protocol.Frame) bool { c.ws.CloseNow(); return true }
	f.mu.Unlock()
	if _, err = c.Request(t.Context(), &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: "s"}}}); !errors.Is(err, ErrLost) {
		t.Errorf("Request = %v, want ErrLost", err)
	}
}

func TestBackoffIsFullJitter(t *testing.T) {
	low, high := time.Second, 10*time.Second
	for attempt, top := range map[int]time.Duration{0: low, 1: 2 * low, 3: 8 * low, 4: high, 100: high} {
		var least, most time.Duration = high, 0
		for range 1000 {
			d := backoff(attempt, low, high)
			least, most = min(least, d), max(most, d)
		}
		if most > top || most < top*9/10 || least > top/10 {
			t.Errorf("attempt %d: %s to %s, want 0 to %s", attempt, least, most, top)
		}
	}
}

func TestServerAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"ws://h:1":       "ws://h:1/ws",
		"http://h:1/":    "ws://h:1/ws",
		"https://h":      "wss://h/ws",
		"wss://h/x/ws":   "wss://h/x/ws",
		"h:1":            "",
		"ftp://h":        "",
		"http://a b":     "",
		"127.0.0.1:8080": "",
	} {
		if got, err := webSocketURL(in); got != want || (err == nil) != (want != "") {
			t.Errorf("webSocketURL(%q) = %q, %v", in, got, err)
		}
	}
}
