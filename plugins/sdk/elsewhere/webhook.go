package elsewhere

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Webhook runs a bot behind a web server: it is the handler of the address that
// "troupe bot add NAME --webhook ADDRESS" registered. What comes is taken at once (202);
// what the bot wants it says to the installation. Close it when the server stops.
type Webhook struct {
	Bot    *sdk.Bot
	URL    string // of the installation, like https://chat.example.com
	Token  string // shown when the bot was registered
	Secret string // shown with it: only what is signed by it is taken
	Log    *slog.Logger
	Client *http.Client // nil: http.DefaultClient

	start  sync.Once
	says   chan *botv1.Describe // once
	ctx    context.Context
	cancel context.CancelFunc
	in     chan *botv1.HostFrame
	ended  chan struct{}

	mu    sync.Mutex
	lines map[string]*line // by event: what is to be said, in order
}

// line is what is to be said of one event.
type line struct{ frames []*botv1.BotFrame }

// signedWithin is how old a signed request may be.
const signedWithin = 5 * time.Minute

func (h *Webhook) begin() {
	h.start.Do(func() {
		h.ctx, h.cancel = context.WithCancel(context.Background())
		h.says, h.in, h.ended, h.lines = make(chan *botv1.Describe, 1), make(chan *botv1.HostFrame, 64), make(chan struct{}), map[string]*line{}
		if h.Log == nil {
			h.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
		if h.Client == nil {
			h.Client = http.DefaultClient
		}
		go func() {
			defer close(h.ended)
			if err := (sdk.Runner{Bot: h.Bot, Log: h.Log}).Run(h.ctx, h); err != nil && h.ctx.Err() == nil {
				h.Log.Error("the bot ended", "error", err)
			}
		}()
	})
}

// Close ends the bot, once its functions have ended.
func (h *Webhook) Close() {
	h.begin()
	h.cancel()
	<-h.ended
}

// ServeHTTP serves the installation's requests.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.begin()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, botv1.MaxMessage))
	if err != nil || !h.signed(r.Header.Get("Troupe-Signature"), body) {
		http.Error(w, "this is not signed by the secret of the bot", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		var d *botv1.Describe
		select {
		case d = <-h.says:
			h.says <- d
		case <-h.ended:
			http.Error(w, "the bot has ended", http.StatusServiceUnavailable)
			return
		}
		text, err := protojson.Marshal(d)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
		return
	}
	f := new(botv1.HostFrame)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, f); err != nil {
		http.Error(w, "no frame", http.StatusBadRequest)
		return
	}
	select {
	case h.in <- f:
		w.WriteHeader(http.StatusAccepted)
	case <-h.ended:
		http.Error(w, "the bot has ended", http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}

func (h *Webhook) signed(signature string, body []byte) bool {
	var at int64
	if _, err := fmt.Sscanf(signature, "t=%d,", &at); err != nil || time.Since(time.Unix(at, 0)).Abs() > signedWithin {
		return false
	}
	t := strconv.FormatInt(at, 10)
	mac := hmac.New(sha256.New, []byte(h.Secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hmac.Equal([]byte(signature), []byte("t="+t+",v1="+hex.EncodeToString(mac.Sum(nil))))
}

// Recv fills sdk.Conn.
func (h *Webhook) Recv() (*botv1.HostFrame, error) {
	select {
	case f := <-h.in:
		return f, nil
	case <-h.ctx.Done():
		return nil, io.EOF
	}
}

// Send fills sdk.Conn. What belongs to one event is said in order; events do not wait for
// each other.
func (h *Webhook) Send(f *botv1.BotFrame) error {
	if d := f.GetDescribe(); d != nil { // that is asked for
		h.says <- d
		return nil
	}
	event := f.GetCall().GetEvent() + f.GetAck().GetEvent() + f.GetWorking().GetEvent()
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.lines[event]
	if l == nil {
		l = &line{}
		h.lines[event] = l
		go h.say(event, l)
	}
	l.frames = append(l.frames, f)
	return nil
}

// say says what is in a line until there is nothing more.
func (h *Webhook) say(event string, l *line) {
	for {
		h.mu.Lock()
		frames := l.frames
		l.frames = nil
		if len(frames) == 0 {
			delete(h.lines, event)
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		if err := h.post(frames); err != nil && h.ctx.Err() == nil {
			h.Log.Warn("the host did not take what the bot wants; the event comes again", "event", event, "error", err)
		}
	}
}

func (h *Webhook) post(frames []*botv1.BotFrame) error {
	said := struct {
		Frames []json.RawMessage `json:"frames"`
	}{}
	for _, f := range frames {
		text, err := protojson.Marshal(f)
		if err != nil {
			return err
		}
		said.Frames = append(said.Frames, text)
	}
	body, err := json.Marshal(said)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(h.ctx, http.MethodPost, strings.TrimRight(h.URL, "/")+"/bots/v1/calls", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+h.Token)
	r.Header.Set("Content-Type", "application/json")
	a, err := h.Client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, botv1.MaxMessage))
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.200s", a.Status, text)
	}
	var got struct {
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return err
	}
	for _, raw := range got.Results {
		result := new(botv1.Result)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, result); err != nil {
			return err
		}
		select {
		case h.in <- &botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: result}}:
		case <-h.ctx.Done():
			return h.ctx.Err()
		}
	}
	return nil
}
