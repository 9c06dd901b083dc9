package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// webhook is a channel to a bot that is sent POSTs. It answers 200 with frames, which
// acknowledges an event unless one of them does otherwise; or 202, and says the rest
// by CallsPath.
type webhook struct {
	c    *Center
	bot  *Bot
	in   chan *botv1.BotFrame
	gone chan struct{}
	once sync.Once

	mu      sync.Mutex
	hand    map[string]bool               // events that are not acknowledged
	drains  bool                          // Drained is said when there are none
	results map[uint64]chan *botv1.Result // of calls by CallsPath that wait
	last    uint64
	welcome *botv1.Welcome
}

func newWebhook(c *Center, b *Bot, describe *botv1.Describe) *webhook {
	h := &webhook{c: c, bot: b, in: make(chan *botv1.BotFrame, 64), gone: make(chan struct{}), hand: map[string]bool{}, results: map[uint64]chan *botv1.Result{}}
	h.in <- &botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: describe}}
	return h
}

// describe asks a webhook who it is: a signed GET, answered by a Describe as JSON.
func (c *Center) describe(ctx context.Context, b *Bot) (*botv1.Describe, error) {
	a, err := c.web.Do(ctx, egress.Question{Method: http.MethodGet, URL: b.URL, Header: http.Header{
		"Accept": {"application/json"}, egress.SignatureHeader: {egress.Sign(b.Secret, c.Now(), nil)},
	}})
	if err != nil {
		return nil, err
	}
	text, err := a.All()
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("asked who it is, it answered %d", a.Status)
	}
	d := &botv1.Describe{}
	if err := lax.Unmarshal(text, d); err != nil {
		return nil, errors.New("asked who it is, its answer is no Describe as JSON")
	}
	return d, nil
}

// Send fills desk.Channel. What a bot has to answer goes on in a goroutine of its own.
func (h *webhook) Send(_ context.Context, f *botv1.HostFrame) error {
	select {
	case <-h.gone:
		return io.ErrClosedPipe
	default:
	}
	switch m := f.Body.(type) {
	case *botv1.HostFrame_Welcome:
		h.mu.Lock()
		h.welcome = m.Welcome
		h.mu.Unlock()
		go h.post(f, nil)
	case *botv1.HostFrame_Event:
		h.mu.Lock()
		h.hand[m.Event.Id] = true
		h.mu.Unlock()
		go h.post(f, func(err error) *botv1.BotFrame {
			ack := &botv1.Ack{Event: m.Event.Id}
			if err != nil {
				ack.Error = err.Error()
			}
			return &botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: ack}}
		})
	case *botv1.HostFrame_Moderate, *botv1.HostFrame_Cancel:
		go h.post(f, nil)
	case *botv1.HostFrame_Result:
		h.result(m.Result)
	case *botv1.HostFrame_Ping: // it is there when it answers events
		h.put(&botv1.BotFrame{Body: &botv1.BotFrame_Pong{Pong: &botv1.Pong{N: m.Ping.N}}})
	case *botv1.HostFrame_Drain:
		h.mu.Lock()
		h.drains = len(h.hand) > 0
		over := !h.drains
		h.mu.Unlock()
		if over {
			h.put(&botv1.BotFrame{Body: &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}})
		}
	case *botv1.HostFrame_Refused:
		h.c.Log.Warn("a webhook's Describe was refused", "bot", h.bot.ID, "code", m.Refused.Code, "reason", m.Refused.Reason)
		h.Close("")
	}
	return nil
}

// Recv fills desk.Channel.
func (h *webhook) Recv() (*botv1.BotFrame, error) {
	select {
	case f := <-h.in:
		return f, nil
	case <-h.gone:
		return nil, io.EOF
	}
}

// Close fills desk.Channel.
func (h *webhook) Close(string) { h.once.Do(func() { close(h.gone) }) }

// put gives the desk a frame, and says that the bot is drained behind its last Ack.
func (h *webhook) put(f *botv1.BotFrame) {
	drained := false
	if a := f.GetAck(); a != nil {
		h.mu.Lock()
		delete(h.hand, a.Event)
		if drained = h.drains && len(h.hand) == 0; drained {
			h.drains = false
		}
		h.mu.Unlock()
	}
	frames := []*botv1.BotFrame{f}
	if drained {
		frames = append(frames, &botv1.BotFrame{Body: &botv1.BotFrame_Drained{Drained: &botv1.Drained{}}})
	}
	for _, f := range frames {
		select {
		case h.in <- f:
		case <-h.gone:
			return
		}
	}
}

// errAccepted says that the bot has taken an event and answers later.
var errAccepted = errors.New("it answers later")

// post sends a frame and takes the frames of its answer. ack makes what acknowledges it.
func (h *webhook) post(f *botv1.HostFrame, ack func(error) *botv1.BotFrame) {
	frames, err := h.ask(f)
	acked := false
	for _, got := range frames {
		if got.GetAck() != nil {
			acked = true
		}
		h.put(got)
	}
	switch {
	case ack == nil:
		if err != nil && err != errAccepted {
			h.c.Log.Warn("a webhook did not take a frame", "bot", h.bot.ID, "err", err)
		}
	case err == errAccepted: // 30 seconds from now it comes again, unless CallsPath says Working or Ack
	case !acked:
		h.put(ack(err))
	}
}

func (h *webhook) ask(f *botv1.HostFrame) ([]*botv1.BotFrame, error) {
	body, err := protojson.Marshal(f)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.c.cfg.Within)
	defer cancel()
	go func() {
		select {
		case <-h.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	a, err := h.c.web.Do(ctx, egress.Question{Method: http.MethodPost, URL: h.bot.URL, Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, egress.SignatureHeader: {egress.Sign(h.bot.Secret, h.c.Now(), body)},
	}})
	if err != nil {
		return nil, err
	}
	text, err := a.All()
	switch {
	case err != nil:
		return nil, err
	case a.Status == http.StatusAccepted:
		return nil, errAccepted
	case a.Status == http.StatusNoContent, a.Status == http.StatusOK && len(text) == 0:
		return nil, nil
	case a.Status != http.StatusOK:
		return nil, fmt.Errorf("the webhook answered %d", a.Status)
	}
	return readFrames(text)
}

// readFrames reads {"frames": [BotFrame, …]}.
func readFrames(text []byte) ([]*botv1.BotFrame, error) {
	var said struct {
		Frames []json.RawMessage `json:"frames"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return nil, errors.New(`no JSON of {"frames": […]}`)
	}
	frames := make([]*botv1.BotFrame, 0, len(said.Frames))
	for i, raw := range said.Frames {
		f := &botv1.BotFrame{}
		if err := lax.Unmarshal(raw, f); err != nil {
			return nil, fmt.Errorf("frames[%d]: %w", i, err)
		}
		if f.GetDescribe() != nil {
			return nil, fmt.Errorf("frames[%d]: a webhook says who it is when it is asked by GET", i)
		}
		frames = append(frames, f)
	}
	return frames, nil
}

// result gives a call's result to the request that waits for it.
func (h *webhook) result(r *botv1.Result) {
	h.mu.Lock()
	waits := h.results[r.Id]
	delete(h.results, r.Id)
	h.mu.Unlock()
	switch {
	case waits != nil:
		waits <- r
	case r.Code != "":
		h.c.Log.Warn("a call in a webhook's answer was refused", "bot", h.bot.ID, "code", r.Code, "error", r.Error)
	}
}

// eventOf is the event that a frame is about, "": none.
func eventOf(f *botv1.BotFrame) string {
	switch m := f.Body.(type) {
	case *botv1.BotFrame_Ack:
		return m.Ack.Event
	case *botv1.BotFrame_Working:
		return m.Working.Event
	case *botv1.BotFrame_Call:
		return m.Call.Event
	}
	return ""
}

// has says whether the bot was given an event by this node, and has not acknowledged it.
func (h *webhook) has(event string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hand[event]
}

// tellNodes gives a frame to the node that gave the bot the event which it is about. A word that
// is lost has the event come again.
func (c *Center) tellNodes(b *Bot, f *botv1.BotFrame) {
	text, err := proto.Marshal(f)
	if err != nil {
		c.Log.Error("what a bot said is not passed on", "bot", b.ID, "err", err)
		return
	}
	c.Tell(b.ID + " " + base64.StdEncoding.EncodeToString(text))
}

// Heard takes what another node was told by a bot, where it is about an event of this one's. It
// does not block.
func (c *Center) Heard(word string) {
	id, text, _ := strings.Cut(word, " ")
	body, err := base64.StdEncoding.DecodeString(text)
	f := &botv1.BotFrame{}
	if err != nil || proto.Unmarshal(body, f) != nil || f.GetAck() == nil && f.GetWorking() == nil {
		return
	}
	c.mu.Lock()
	var h *webhook
	if s := c.serving[id]; s != nil {
		h = s.hook
	}
	c.mu.Unlock()
	if h != nil && h.has(eventOf(f)) {
		go h.put(f)
	}
}

// firstLate keeps the ids of calls by CallsPath apart from those in answers.
const firstLate = 1 << 32

// calls does what a webhook's bot wants: {"frames": […]}, answered by the Results of
// its calls with an id, in order. BAD_REQUEST; BUSY: the bot is not reached now.
func (c *Center) calls(w http.ResponseWriter, r *http.Request, b *Bot) {
	c.mu.Lock()
	s := c.serving[b.ID]
	var h *webhook
	if s != nil {
		h = s.hook
	}
	c.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, c.cfg.Frame))
	var frames []*botv1.BotFrame
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		c.Problem(w, protocol.Errorf(protocol.Code_METHOD_NOT_ALLOWED, "POST is needed"))
		return
	case b.Way != Webhook:
		c.Problem(w, protocol.Conflict("this bot says what it wants over its WebSocket"))
		return
	case err != nil:
		c.Problem(w, protocol.TooLarge("%d bytes at most", c.cfg.Frame))
		return
	case h == nil:
		c.Problem(w, protocol.Errorf(protocol.Code_BUSY, "the bot's webhook is not reached yet"))
		return
	}
	if frames, err = readFrames(body); err != nil {
		c.Problem(w, protocol.BadRequest("%s", err))
		return
	}
	results := []json.RawMessage{}
	for _, f := range frames {
		call := f.GetCall()
		if event := eventOf(f); event != "" && !h.has(event) { // another node gave it
			if call == nil {
				c.tellNodes(b, f)
				continue
			}
			if err := c.Desks.Recall(r.Context(), b.ID, event); err != nil {
				c.Problem(w, err)
				return
			}
		}
		if call == nil || call.Id == 0 {
			h.put(f)
			continue
		}
		asked := call.Id
		waits := make(chan *botv1.Result, 1)
		h.mu.Lock()
		h.last++
		call.Id = firstLate + h.last
		h.results[call.Id] = waits
		h.mu.Unlock()
		h.put(f)
		select {
		case got := <-waits:
			got.Id = asked
			text, err := protojson.Marshal(got)
			if err != nil {
				c.Problem(w, err)
				return
			}
			results = append(results, text)
		case <-h.gone:
			c.Problem(w, protocol.Errorf(protocol.Code_BUSY, "the bot is being let go"))
			return
		case <-r.Context().Done():
			h.mu.Lock()
			delete(h.results, call.Id)
			h.mu.Unlock()
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"results": results})
}
