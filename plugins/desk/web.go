package desk

import (
	"context"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Web asks others on the web for bots, which have no network.
type Web interface {
	Fetch(ctx context.Context, r *WebRequest) (*WebAnswer, error)
}

// WebRequest is what a bot asks for.
type WebRequest struct {
	Plugin string
	Hosts  []string // that were granted, host or host:port; none: the public web
	Method string
	URL    string
	Header map[string]string
	Body   []byte // 1 MiB at most, as the answer's
	Sign   string // a secret: the request gets the header Troupe-Signature by it
}

// WebAnswer is what came back, whatever its status.
type WebAnswer struct {
	Status int
	Header map[string]string // names in lower case
	Body   []byte
}

// Hooks are addresses at which others tell bots something. What comes is given to Desks.Incoming.
type Hooks interface {
	// MakeHook makes one, and gives its path, which is told this once.
	MakeHook(ctx context.Context, plugin string, bot protocol.UserID, session protocol.SessionID, name string) (id, path string, err error)
	HooksOf(bot protocol.UserID, session protocol.SessionID) []Hook
	// DropHook ends one, id "": all.
	DropHook(ctx context.Context, bot protocol.UserID, session protocol.SessionID, id string) error
}

const maxFetch = 1 << 20 // bytes of a body

// network is the scope by which a bot asks the web; behind a colon stands a host, when it
// was granted for some only.
const network = "network"

// hosts gives for which hosts the scope network was granted, none: all; ok: it was.
func (p *plug) hosts() (hosts []string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scopes[network] {
		return nil, true
	}
	for s := range p.scopes {
		if host, is := strings.CutPrefix(s, network+":"); is {
			hosts = append(hosts, host)
		}
	}
	return hosts, len(hosts) > 0
}

func (w *wish) fetch(ctx context.Context, m *botv1.Fetch) (*botv1.Result, error) {
	p := w.l.p
	hosts, ok := p.hosts()
	method := m.Method
	if method == "" {
		method = "GET"
	}
	switch {
	case !ok:
		return nil, protocol.Denied("the scope %s is needed", network)
	case p.d.need.Web == nil:
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "bots reach nobody from here")
	case len(m.Body) > maxFetch:
		return nil, protocol.TooLarge("fetch.body: %d bytes at most", maxFetch)
	case !strings.Contains(" GET POST PUT PATCH DELETE ", " "+method+" "):
		return nil, protocol.BadRequest("fetch.method: GET, POST, PUT, PATCH or DELETE")
	}
	a, err := p.d.need.Web.Fetch(ctx, &WebRequest{Plugin: p.id, Hosts: hosts, Method: method, URL: m.Url, Header: m.Header, Body: m.Body, Sign: m.Sign})
	if err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_Fetched{Fetched: &botv1.Fetched{Status: int32(a.Status), Header: a.Header, Body: a.Body}}}, nil
}

// hooked serves the calls about hooks.
func (w *wish) hooked(ctx context.Context) (*botv1.Result, error) {
	p := w.l.p
	hooks := p.d.need.Hooks
	if hooks == nil {
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "there are no hooks here")
	}
	if _, err := p.d.session(ctx, p.speak(w.bot), w.session); err != nil {
		return nil, err
	}
	list := &botv1.Hooks{}
	switch m := w.Do.(type) {
	case *botv1.Call_HookMake:
		id, path, err := hooks.MakeHook(ctx, p.id, w.bot, w.session, m.HookMake.Name)
		if err != nil {
			return nil, err
		}
		list.Hooks = append(list.Hooks, &botv1.Hook{Id: id, Name: m.HookMake.Name, Path: path, CreatedAt: p.d.now()})
	case *botv1.Call_HookList:
		for _, h := range hooks.HooksOf(w.bot, w.session) {
			list.Hooks = append(list.Hooks, &botv1.Hook{Id: h.ID, Name: h.Name, CreatedAt: h.Created.UnixMilli()})
		}
	case *botv1.Call_HookDrop:
		if err := hooks.DropHook(ctx, w.bot, w.session, m.HookDrop.Id); err != nil {
			return nil, err
		}
	}
	return &botv1.Result{Got: &botv1.Result_Hooks{Hooks: list}}, nil
}
