package bridge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/plugins/bots/bridge"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

// far is another system: it takes what it is sent, unless status says otherwise.
type far struct {
	status int
	got    []map[string]any
	signed []string
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m map[string]any
	json.Unmarshal(body, &m)
	f.got = append(f.got, m)
	f.signed = append(f.signed, r.Header.Get("Troupe-Signature"))
	if f.status != 0 {
		w.WriteHeader(f.status)
	}
}

func TestWhatComesToAnAddressIsSaidInTheSession(t *testing.T) {
	h := bottest.New(t, bridge.New()).In("team").Role("owner")
	h.Command("/bridge in builds").Expect("Keep it secret", "POST /bots/hooks/h_")
	h.Command("/bridge list").Expect("in  h_", "builds")
	h.Hook("h_1", "builds", `{"text":"main is green"}`).Expect("builds: main is green")
	h.Hook("h_1", "builds", `plain words`).Expect("builds: plain words")
	h.Hook("h_1", "builds", `{"status":"ok"}`).Expect("```json", `"status": "ok"`)
	if said := h.Hook("h_1", "builds", strings.Repeat("长", 9000)).Text(); len(said) > 8<<10 || !strings.HasSuffix(said, "…") {
		t.Errorf("a long text is said with %d bytes", len(said))
	}
}

func TestWhatIsSaidInTheSessionGoesToAnAddress(t *testing.T) {
	f := &far{}
	h := bottest.Config{Web: f}.New(t, bridge.New()).In("team").Role("owner")
	told := h.Command("/bridge out https://far.example/hook").Expect("is sent to https://far.example/hook", "signed by").Text()
	h.Mention("hello there").ExpectNothing()
	if len(f.got) != 1 || !strings.Contains(f.got[0]["text"].(string), "hello there") || f.got[0]["id"] == "" {
		t.Fatalf("it got %v", f.got)
	}
	if secret := f.signed[0]; secret == "" || !strings.Contains(told, secret) {
		t.Errorf("signed by %q, and told %q", secret, told)
	}
	h.Redeliver()
	if len(f.got) != 2 || f.got[1]["id"] != f.got[0]["id"] {
		t.Errorf("sent again it got %v", f.got)
	}
	h.Command("/bridge remove https://far.example/hook").Expect("disconnected")
	h.Mention("nobody hears").ExpectNothing()
	if len(f.got) != 2 {
		t.Errorf("it got %v", f.got)
	}
}

func TestAnAddressThatTakesNothingIsRemovedAtLast(t *testing.T) {
	f := &far{status: 500}
	h := bottest.Config{Web: f}.New(t, bridge.New()).In("team").Role("owner")
	h.Command("/bridge out https://far.example/hook")
	h.Mention("one").ExpectNothing()
	h.Command("/bridge list").Expect("failed 1 times in a row: 500")
	for range 18 {
		h.Mention("more").ExpectNothing()
	}
	h.Mention("the last").Expect("disconnected: https://far.example/hook")
	h.Command("/bridge list").Expect("Nothing is connected")
}

func TestOnlyAdminsConnectAGroup(t *testing.T) {
	h := bottest.New(t, bridge.New()).In("team")
	h.By("bob").Command("/bridge in x").Expect("Only the owner and admins")
	h.Role("owner").Command("/bridge out javascript:alert(1)").Expect("https://example.com/hook is needed")
	h.Role("owner").Command("/bridge remove h_99").Expect("none like that")
}

func TestABridgeThatIsRemovedIsConnectedToNothing(t *testing.T) {
	f := &far{}
	h := bottest.Config{Web: f}.New(t, bridge.New()).In("team").Role("owner")
	h.Command("/bridge in a")
	h.Command("/bridge out https://far.example/hook")
	h.Removed()
	h.Command("/bridge list").Expect("Nothing is connected")
}
