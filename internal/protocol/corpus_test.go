package protocol_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"google.golang.org/protobuf/proto"
)

// A sample is one case of testdata/frames, whose README says how it is written.
type sample struct {
	name, in, out string
	code, detail  string // of a refused one
	typ, id       string
}

func samples(tb testing.TB) (list []*sample) {
	tb.Helper()
	files, err := filepath.Glob("testdata/frames/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no corpus: ", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var s *sample
		for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			mark, rest, _ := strings.Cut(line, " ")
			switch mark {
			case "#":
				s = &sample{name: rest}
				if names[rest] {
					tb.Fatalf("%s:%d: the name is taken", file, n+1)
				}
				names[rest] = true
				list = append(list, s)
			case ">":
				s.in, s.out = rest, rest
			case ">>":
				if s.in, err = strconv.Unquote(rest); err != nil {
					tb.Fatalf("%s:%d: %v", file, n+1, err)
				}
				s.out = s.in
			case "<":
				s.out = rest
			case "<<":
				if s.out, err = strconv.Unquote(rest); err != nil {
					tb.Fatalf("%s:%d: %v", file, n+1, err)
				}
			case "!":
				s.code, s.detail, _ = strings.Cut(rest, " ")
			case "=":
				s.typ, s.id, _ = strings.Cut(strings.ReplaceAll(rest, "-", ""), " ")
			case "":
			default:
				tb.Fatalf("%s:%d: %q", file, n+1, line)
			}
		}
	}
	return list
}

func TestEveryFrameOfTheCorpusIsReadAsItSays(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			f, err := protocol.DecodeJSON([]byte(s.in))
			if s.code == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if out := string(protocol.AppendJSON(nil, f)); out != s.out {
					t.Errorf("written as\n%s\nwant\n%s", out, s.out)
				}
				return
			}
			if err == nil {
				t.Fatalf("accepted as %s", protocol.AppendJSON(nil, f))
			}
			e := protocol.AsError(err)
			if e.Code.Word() != s.code || e.Detail != s.detail {
				t.Errorf("refused with %s %s, want %s %s", e.Code.Word(), e.Detail, s.code, s.detail)
			}
			if f.Type() != s.typ || f.GetId() != s.id {
				t.Errorf("of it is known %q %q, want %q %q", f.Type(), f.GetId(), s.typ, s.id)
			}
		})
	}
}

func TestTheCorpusHasEveryTypeOfFrame(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples(t) {
		if f, err := protocol.DecodeJSON([]byte(s.in)); err == nil {
			seen[f.Type()] = true
		}
	}
	members := (&protocol.Frame{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range members.Len() {
		name := string(members.Get(i).Name())
		if name == "fault" {
			name = "error"
		}
		if !seen[name] {
			t.Errorf("no frame of type %s", name)
		}
	}
}

func TestAFrameIsTheSameInBothEncodings(t *testing.T) {
	for _, s := range samples(t) {
		f, err := protocol.DecodeJSON([]byte(s.in))
		if err != nil {
			continue
		}
		g, err := protocol.DecodeBinary(protocol.AppendBinary(nil, f))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		} else if a, b := protocol.AppendJSON(nil, f), protocol.AppendJSON(nil, g); string(a) != string(b) {
			t.Errorf("%s: as binary it became\n%s\nwant\n%s", s.name, b, a)
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	for _, s := range samples(t) {
		f, err := protocol.DecodeJSON([]byte(s.in))
		if err != nil {
			continue
		}
		out := protocol.AppendJSON(nil, f)
		g, err := protocol.DecodeJSON(out)
		if err != nil {
			t.Errorf("%s: %s: %v", s.name, out, err)
		} else if !proto.Equal(f, g) && string(protocol.AppendJSON(nil, g)) != string(out) {
			t.Errorf("%s: read again as %v, want %v", s.name, g, f)
		}
	}
}
