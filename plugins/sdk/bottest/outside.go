package bottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// fetch asks Config.Web. The secret by which a request would be signed stands in its
// header Troupe-Signature as it is.
func (w *world) fetch(f *botv1.Fetch) *botv1.Result {
	if w.config.Web == nil {
		return refuse("DENIED", "nothing is reached")
	}
	r := httptest.NewRequest(f.Method, f.Url, bytes.NewReader(f.Body))
	for name, value := range f.Header {
		r.Header.Set(name, value)
	}
	if f.Sign != "" {
		r.Header.Set("Troupe-Signature", f.Sign)
	}
	a := httptest.NewRecorder()
	w.config.Web.ServeHTTP(a, r)
	got := &botv1.Fetched{Status: int32(a.Code), Body: a.Body.Bytes(), Header: map[string]string{}}
	for name := range a.Header() {
		got.Header[strings.ToLower(name)] = a.Header().Get(name)
	}
	return &botv1.Result{Got: &botv1.Result_Fetched{Fetched: got}}
}

func (w *world) hook(c *botv1.Call) *botv1.Result {
	all := w.hooks[c.Session]
	list := &botv1.Hooks{}
	switch do := c.Do.(type) {
	case *botv1.Call_HookMake:
		w.events++
		h := &botv1.Hook{Id: fmt.Sprint("h_", w.events), Name: do.HookMake.Name, CreatedAt: w.now.UnixMilli()}
		w.hooks[c.Session] = append(all, h)
		list.Hooks = []*botv1.Hook{{Id: h.Id, Name: h.Name, Path: "/bots/hooks/" + h.Id, CreatedAt: h.CreatedAt}}
	case *botv1.Call_HookList:
		list.Hooks = all
	case *botv1.Call_HookDrop:
		rest := slices.DeleteFunc(slices.Clone(all), func(h *botv1.Hook) bool { return do.HookDrop.Id == "" || h.Id == do.HookDrop.Id })
		if len(rest) == len(all) && do.HookDrop.Id != "" {
			return refuse("NOT_FOUND", "hook %s", do.HookDrop.Id)
		}
		w.hooks[c.Session] = rest
	}
	return &botv1.Result{Got: &botv1.Result_Hooks{Hooks: list}}
}

// Hook gives the bot what came to one of its addresses, as the host words it.
func (h *Host) Hook(id, name, body string) *Turn {
	h.t.Helper()
	text, err := json.Marshal(map[string]string{"hook": id, "name": name, "type": "application/json", "body": body})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Webhook(string(text))
}
