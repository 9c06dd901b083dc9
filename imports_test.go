package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/troupe-im/troupe"

// tree says, per package of ours, which others of ours it may import. It is the
// table of the tree: whoever adds a package adds a line, and says why it leans on
// what it leans on. Tests may import more, as they plug things together.
var tree = map[string][]string{
	"": {"plugins/sdk/template", "plugins/remote", "plugins", "plugins/bots", "plugins/desk", "plugins/sdk", "internal/access", "internal/egress", "actors", "gateway", "userctr", "filectr", "filectr/face", "filectr/preview", "filectr/review", "pushctr", "web-embed", "internal/protocol", "internal/search", "internal/pebblestore", "internal/mongostore", "internal/migrate", "internal/redisstreams", "internal/peers", "internal/chat", "internal/load", "plugins/model"},

	"internal/protocol":     {},
	"internal/protocol/gen": {},
	"internal/egress":       {},
	"internal/access":       {"internal/protocol"},                                      // who may do what: asked by all that serve anybody
	"internal/peers":        {},                                                         // what nodes say to each other, whatever that is
	"actors":                {"internal/protocol", "internal/access", "internal/peers"}, // sessions are placed on several nodes
	"internal/search":       {"internal/protocol"},                                      // what a signature is; the store keeps them, the gateway asks
	"gateway":               {"internal/protocol", "internal/access", "internal/search", "actors"},
	"userctr":               {"internal/protocol", "internal/access", "internal/egress"}, // it asks issuers and callbacks
	"filectr":               {"internal/protocol", "internal/access", "filectr/child", "filectr/face", "filectr/ffmpeg", "filectr/picture", "filectr/scrub", "filectr/sound"},
	"filectr/review":        {"filectr", "internal/egress"}, // it fills filectr.Reviewer
	"filectr/ffmpeg":        {"filectr/child", "filectr/sound"},
	"filectr/child":         {},
	"filectr/face":          {},
	"filectr/picture":       {"filectr/child", "filectr/face"}, // the size of a tile
	"filectr/scrub":         {},
	"filectr/sound":         {"filectr/child"},
	"filectr/blobtest":      {"filectr"},
	"filectr/preview":       {"internal/protocol", "internal/access", "internal/egress", "filectr/picture"},
	"pushctr":               {"internal/protocol", "actors"}, // it fills actors.Streams
	"web-embed":             {},
	"plugins":               {"internal/protocol", "plugins/desk", "plugins/jail", "plugins/sdk/args", "plugins/sdk/botv1"}, // it gives desks their channels
	"plugins/jail":          {},
	"plugins/sdk/botv1":     {}, // what a host and a bot say to each other
	"plugins/sdk":           {"plugins/sdk/botv1", "plugins/sdk/args"},
	"plugins/desk":          {"internal/protocol", "actors", "plugins/sdk/args", "plugins/sdk/botv1"}, // it fills actors.Robots
	"plugins/bots/bridge":   {"plugins/sdk"},
	"plugins/remote":        {"internal/protocol", "internal/egress", "plugins/desk", "plugins/sdk/botv1"},
	"plugins/model":         {"internal/protocol", "internal/egress"}, // providers are asked by egress
	"internal/openaistub":   {},

	"plugins/sdk/args":            {"plugins/sdk/botv1"}, // how arguments are typed
	"plugins/sdk/bottest":         {"plugins/sdk", "plugins/sdk/args", "plugins/sdk/botv1"},
	"plugins/sdk/elsewhere":       {"plugins/sdk", "plugins/sdk/botv1"},
	"plugins/sdk/template":        {},                                   // what `troupe bot new` writes
	"plugins/sdk/conformance":     {"plugins/sdk", "plugins/sdk/botv1"}, // what every SDK and every way to a bot must pass
	"plugins/bots/echo":           {"plugins/sdk"},
	"plugins/bots/moderator":      {"plugins/sdk"},
	"plugins/bots/poll":           {"plugins/sdk"},
	"plugins/bots/reminder":       {"plugins/sdk"},
	"plugins/bots":                {"plugins/bots/assistant", "plugins/bots/bridge", "plugins/bots/echo", "plugins/bots/moderator", "plugins/bots/poll", "plugins/bots/reminder", "plugins/bots/summariser", "plugins/bots/translator", "plugins/sdk"},
	"plugins/bots/assistant":      {"plugins/sdk", "plugins/bots/assistant/talk"},
	"plugins/bots/assistant/talk": {"plugins/sdk"}, // go-openai's traps are guarded in one place
	"plugins/bots/summariser":     {"plugins/sdk", "plugins/bots/assistant/talk"},
	"plugins/bots/translator":     {"plugins/sdk", "plugins/bots/assistant/talk"},

	"internal/rows":         {"internal/protocol", "filectr", "filectr/preview", "plugins/desk", "plugins/remote", "plugins/model"},                                                                              // what stores keep alike for the centres
	"internal/migrate":      {"internal/protocol", "actors", "userctr", "plugins/desk"},                                                                                                                          // what both stores say of what is moved from one to the other
	"internal/pebblestore":  {"internal/migrate", "internal/rows", "internal/protocol", "internal/search", "actors", "userctr", "filectr", "filectr/preview", "plugins/desk", "plugins/remote", "plugins/model"}, // it fills actors.Journal and the centres' Stores
	"internal/mongostore":   {"internal/migrate", "internal/rows", "internal/protocol", "internal/search", "actors", "userctr", "filectr", "filectr/preview", "plugins/desk", "plugins/remote", "plugins/model"}, // as pebblestore, for many nodes
	"internal/storetest":    {"internal/protocol", "internal/search", "actors", "userctr", "filectr", "filectr/preview", "plugins/desk", "plugins/remote", "plugins/model"},                                      // what every store must pass
	"internal/redisstreams": {"internal/protocol", "actors"},                                                                                                                                                     // it fills actors.Streams and actors.Attendance
	"internal/streamstest":  {"internal/protocol", "actors"},                                                                                                                                                     // what all streams must pass

	"internal/mongostore/ferret":    {}, // a module of its own: a real FerretDB for tests
	"internal/mongostore/mongotest": {}, // it starts that

	"internal/redisstreams/redistest": {}, // a real redis-server for tests

	"internal/client":     {"internal/protocol"},
	"internal/chat":       {"internal/protocol", "internal/client"},
	"internal/load":       {"internal/load/floor"}, // its own reading of the wire: it measures ours
	"internal/load/floor": {},

	// The checker judges from outside: nothing of the server's is in it.
	"cmd/chaos":           {"cmd/chaos/check", "cmd/chaos/history", "cmd/chaos/proxy"},
	"cmd/chaos/proxy":     {}, // links that fail
	"cmd/chaos/check":     {"cmd/chaos/history"},
	"cmd/chaos/history":   {},
	"cmd/chaos/entry":     {"cmd/chaos/history"}, // what an entry is in a store
	"cmd/chaos/dump":      {"cmd/chaos/entry", "cmd/chaos/history"},
	"cmd/chaos/mongodump": {"cmd/chaos/entry", "cmd/chaos/history"},
}

// alone names libraries that one package is to hide from all others.
var alone = map[string][]string{
	"github.com/asynkron/protoactor-go": {"actors", "internal/peers"},
	"github.com/orcaman/concurrent-map": {"actors"},
	"github.com/lxzan/gws":              {"gateway", "internal/load/floor"}, // the floor is what gws alone costs
	"github.com/cockroachdb/pebble":     {"internal/pebblestore", "cmd/chaos/dump"},
	"go.mongodb.org/mongo-driver":       {"internal/mongostore", "cmd/chaos/mongodump"},
	"github.com/redis/go-redis":         {"internal/redisstreams"},
	"github.com/hashicorp/go-plugin":    {"plugins", "plugins/sdk"},
	"github.com/sashabaranov/go-openai": {"plugins/bots/assistant/talk"},
	"github.com/mochi-mqtt/server":      {"gateway"},
	"github.com/tus/tusd":               {"filectr"},
	"golang.org/x/image":                {"filectr/picture"},
	"golang.org/x/net/html":             {"filectr/preview"},
	"golang.org/x/net/idna":             {"internal/egress"},
	"github.com/pion/opus":              {"filectr/sound"},
	"github.com/minio/minio-go":         {"filectr"},
	"gopkg.in/yaml.v3":                  {"", "plugins"}, // settings, manifests
	"github.com/santhosh-tekuri":        {"plugins"},     // the JSON Schema of bots' settings
}

func TestEveryPackageImportsOnlyWhatItMay(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		seen[pkg] = true
		may, ok := tree[pkg]
		if !ok {
			t.Errorf("%s: the package is not in the table", path)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, and may not", path, ours)
			}
			for library, who := range alone {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(who, pkg) {
					t.Errorf("%s imports %s, which is for %q alone", path, imported, who)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range tree {
		if !seen[pkg] {
			t.Errorf("the table has %q, which has no Go files", pkg)
		}
	}
}
