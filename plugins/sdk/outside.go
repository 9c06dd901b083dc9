package sdk

import (
	"encoding/json"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Request is something to be asked of somebody on the web.
type Request struct {
	Method string // GET
	URL    string
	Header map[string]string
	Body   []byte // 1 MiB at most
	Sign   string // a secret by which the header Troupe-Signature is made; see docs/bots.md
}

// Response is what came back, whatever its status. Of its body 1 MiB at most is taken.
type Response struct {
	Status int
	Header map[string]string // names in lower case
	Body   []byte
}

// Fetch asks somebody on the web, by the host: a bot's process has no network. It needs
// the scope network, and reaches what that was granted for.
func (c *Ctx) Fetch(r Request) (*Response, error) {
	call := c.call()
	call.Do = &botv1.Call_Fetch{Fetch: &botv1.Fetch{Method: r.Method, Url: r.URL, Header: r.Header, Body: r.Body, Sign: r.Sign}}
	got, err := c.do(c, call)
	if err != nil {
		return nil, err
	}
	f := got.GetFetched()
	return &Response{Status: int(f.GetStatus()), Header: f.GetHeader(), Body: f.GetBody()}, nil
}

// Hook is an address at which others tell the bot something in the session: a POST of a
// text of 64 KiB at most. It needs the scope hooks. What comes is given to OnWebhook.
type Hook struct {
	ID   string
	Name string
	Path string // behind the installation's address; told once. Whoever has it may
	Made time.Time
}

// MakeHook makes one. 20 of a bot in a session at most.
func (c *Ctx) MakeHook(name string) (Hook, error) {
	call := c.call()
	call.Do = &botv1.Call_HookMake{HookMake: &botv1.HookMake{Name: clean(name)}}
	r, err := c.do(c, call)
	for _, h := range r.GetHooks().GetHooks() {
		return hook(h), nil
	}
	return Hook{}, err
}

// Hooks are the session's, the oldest first.
func (c *Ctx) Hooks() (all []Hook, err error) {
	call := c.call()
	call.Do = &botv1.Call_HookList{HookList: &botv1.HookList{}}
	r, err := c.do(c, call)
	for _, h := range r.GetHooks().GetHooks() {
		all = append(all, hook(h))
	}
	return all, err
}

// DropHook ends one; "": all of the session's.
func (c *Ctx) DropHook(id string) error {
	call := c.call()
	call.Do = &botv1.Call_HookDrop{HookDrop: &botv1.HookDrop{Id: id}}
	_, err := c.do(c, call)
	return err
}

func hook(h *botv1.Hook) Hook {
	return Hook{ID: h.Id, Name: h.Name, Path: h.Path, Made: moment(h.CreatedAt)}
}

// Webhook is what came to a hook: see OnWebhook.
type Webhook struct {
	Hook string `json:"hook"` // its id
	Name string `json:"name"`
	Type string `json:"type"` // as its sender says: application/json, …
	Body string `json:"body"`
}

// Webhook reads what came, in OnWebhook.
func (c *Ctx) Webhook() (w Webhook, err error) {
	return w, Drop(json.Unmarshal([]byte(c.Body), &w))
}
