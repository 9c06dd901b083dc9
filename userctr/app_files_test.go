package userctr_test

import (
	"reflect"
	"testing"

	"github.com/troupe-im/troupe/userctr"
)

func TestAnApplicationsLimitsOfFilesAreKept(t *testing.T) {
	b := start(t, nil)
	a, _ := b.app()
	h := b.rest()
	root := b.login("root", "desk", "web").Token
	put := func(body string, want int) map[string]any {
		t.Helper()
		status, out := call(t, h, root, "PUT", "/apps/"+a.ID, body)
		if status != want {
			t.Errorf("%s: %d %v, want %d", body, status, out, want)
		}
		return out
	}
	put(`{"files":{"kinds":["voice","image","voice"],"types":["image/*"],"max":{"image":5000},"quota":70000,"quotaGuests":600}}`, 200)
	want := userctr.FileLimits{Kinds: []string{"image", "voice"}, Types: []string{"image/*"}, Max: map[string]int64{"image": 5000}, Quota: 70000, QuotaGuests: 600}
	put(`{"name":"Another"}`, 200) // which changes no limit
	b.restart()
	if got := b.FileLimits(a.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	h = b.rest()
	if out := put(`{}`, 200); out["files"].(map[string]any)["quota"] != 70000.0 {
		t.Errorf("it is shown as %v", out["files"])
	}
	for _, bad := range []string{`{"kinds":["music"]}`, `{"max":{"music":1}}`, `{"max":{"image":0}}`, `{"types":["image"]}`, `{"types":["*/*"]}`, `{"types":["IMAGE/PNG"]}`} {
		put(`{"files":`+bad+`}`, 400)
	}
	if got := b.FileLimits(a.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("what was refused left %+v", got)
	}
	put(`{"files":{}}`, 200)
	if got := b.FileLimits(a.ID); !reflect.DeepEqual(got, userctr.FileLimits{}) {
		t.Errorf("lifted, they are %+v", got)
	}
}
