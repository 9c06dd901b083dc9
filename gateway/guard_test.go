package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// A feed gives bytes in pieces of n.
type feed struct {
	net.Conn
	data []byte
	n    int
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), f.n)], f.data)
	f.data = f.data[n:]
	return n, nil
}

func (f *feed) SetReadDeadline(time.Time) error { return nil }
func (f *feed) Close() error                    { return nil }

var fuzzMetrics = newMetrics()

// through gives what a guard lets pass of data, and why it stopped.
func through(data []byte, piece int, deflate, authed bool) (passed []byte, err error) {
	s := &socket{ws: &WS{metrics: fuzzMetrics}}
	s.draining = true // writes nothing: what it says is another test's
	g := &s.guard
	g.Conn, g.sock, g.raised, g.deflate = &feed{data: data, n: piece}, s, true, deflate
	g.limits = &limits{first: 4 << 10, later: 64 << 10, fragments: 64, auth: time.Minute, frame: time.Minute, idle: time.Minute, start: time.Now().Add(-time.Second)}
	g.authed.Store(authed)
	buf := make([]byte, 1<<10)
	for {
		n, err := g.Read(buf)
		passed = append(passed, buf[:n]...)
		if err != nil {
			return passed, err
		}
	}
}

func FuzzGuard(f *testing.F) {
	for _, row := range conformance {
		f.Add(row.send[:min(len(row.send), 500)], false, true)
	}
	f.Add(frameBytes(0xc1, []byte("abc")), true, false)
	f.Fuzz(func(t *testing.T, data []byte, deflate, authed bool) {
		whole, err := through(append([]byte(nil), data...), 1<<20, deflate, authed)
		single, err1 := through(append([]byte(nil), data...), 1, deflate, authed)
		var r, r1 *refusal
		if errors.As(err, &r) != errors.As(err1, &r1) || r != r1 {
			t.Errorf("in one piece: %v; byte by byte: %v", err, err1)
		}
		if r == nil && (string(whole) != string(data) || string(single) != string(data)) {
			t.Errorf("%d and %d of %d good bytes passed", len(whole), len(single), len(data))
		}
		if len(whole) > len(data) || string(whole) != string(data[:len(whole)]) {
			t.Error("what passed is not what came")
		}
	})
}

func FuzzStrict(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":{"a":[1,2,{"c":null}]}}`, `{"a":1,"a":2}`, `[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]`, `{"a"`, `1 2`, `"x"`, ``, `{}`, `{"a":{},"b":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if unmarshal(data, &v) == nil && !json.Valid(data) {
			t.Errorf("%q was taken", data)
		}
	})
}

func TestStrictJSON(t *testing.T) {
	type inner struct {
		Text string `json:"text"`
	}
	type body struct {
		Name  string      `json:"name"`
		Seq   int64       `json:"seq"`
		Type  contentType `json:"type"`
		List  []*inner    `json:"list"`
		Data  any         `json:"data"`
		Said  *time.Time  `json:"said"`
		Inner inner       `json:"inner"`
	}
	for in, want := range map[string]string{
		`{"a":1,"b":{"a":[1,2,{"c":null}]},"c":[]}`:                 "",
		`{"name":"x","seq":-7,"type":"text","list":[{"text":"y"}]}`: "",
		`{"type":2,"said":"2026-01-02T03:04:05Z","inner":null}`:     "",
		`{"data":{"A":1,"a":2,"n":1e99}}`:                           "", // whatever an application agrees with itself
		`{"name":"\ud83d\ude00 \\ud83d"}`:                           "",
		`[{"a":1},{"a":1}]`:                                         "wrong type",
		`{"a":1,"a":2}`:                                             "a: stands twice",
		`{"b":{"a":1,"a":2}}`:                                       "a: stands twice",
		`{"data":{"a":1,"\u0061":2}}`:                               "a: stands twice",
		`{"a":"` + "\xff" + `"}`:                                    "not valid JSON",
		`{"a":`:                                                     "not valid JSON",
		`[`:                                                         "not valid JSON",
		`{} {}`:                                                     "not valid JSON",
		`{"name":"\ud83d"}`:                                         "half a surrogate pair",
		`{"name":"\ude00\ud83d"}`:                                   "half a surrogate pair",
		`{"Name":"x"}`:                                              "Name: other letter case: it is name",
		`{"name":"x","NAME":"y"}`:                                   "NAME: other letter case: it is name",
		`{"list":[{},{"Text":"y"}]}`:                                "list[1].Text: other letter case: it is text",
		`{"inner":{"TEXT":"y"}}`:                                    "inner.TEXT: other letter case: it is text",
		`{"seq":9007199254740993}`:                                  "seq: a whole number within 2^53 is needed",
		`{"seq":3.0}`:                                               "seq: a whole number within 2^53 is needed",
		`{"seq":"3"}`:                                               "seq: wrong type",
		`{"type":"smell"}`:                                          "type: wrong type, or a word that is not known",
		`{"said":"yesterday"}`:                                      "said: wrong type, or a word that is not known",
	} {
		var b body
		if err := unmarshal([]byte(in), &b); fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("unmarshal(%s) = %v, want %q", in, err, want)
		}
	}
	deep := func(n int) []byte {
		b := []byte{}
		for range n {
			b = append(b, '[')
		}
		for range n {
			b = append(b, ']')
		}
		return b
	}
	if err := strict(deep(16)); err != nil {
		t.Errorf("depth 16: %v", err)
	}
	if err := strict(deep(17)); err != errDeep {
		t.Errorf("depth 17: %v", err)
	}
}
