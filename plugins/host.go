// Package plugins runs bots as processes: it finds them, starts those that were approved
// in a jail, gives each one's stream to the desk, starts those anew that crash, and ends
// all of them, whatever they do, without leaving anything behind.
package plugins

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

// What isolation may be.
const (
	Auto    = "auto"    // as much as the machine allows
	Off     = "off"     // bounds of memory and files alone
	Require = "require" // all of it, or bots are not started
)

// Config is what an operator may set. A zero field means its written default.
type Config struct {
	Data      string                     // where plugins.lock is
	Dir       string                     // of ID/VERSION/manifest.yaml; DATA/plugins
	Only      []string                   // of the built-in ones; nil: all
	Isolation string                     // auto
	Cgroup    string                     // auto: the one that was delegated to this process, off, or its directory
	Readable  []string                   // directories that bots may read besides the system's, where Landlock keeps them from others
	Settings  map[string]json.RawMessage // by plugin: an object, whose keys "secrets" (files by name) and "everywhere" are ours
	Drain     time.Duration              // for what a bot has in hand when it is to end; 30 s
	Poll      time.Duration              // how often Dir is looked at; 3 s

	Unbounded bool // no process has a bound of memory: under the race detector none starts with one

	SelfArgs func(id string) []string // how this program becomes a built-in bot; "plugin", ID
	Env      []string                 // more of it for all of them
	Private  []string                 // files of others that no bot may see: where keys are
	Now      func() time.Time
}

func (c *Config) now() time.Time { return c.Now() }

// BuiltIn is a bot that is this same program. It is approved with what it asks for.
type BuiltIn struct {
	Version string
}

// Desk makes a bot of a stream.
type Desk interface {
	// Serve shakes hands and goes on until the stream ends, or the bot is drained after
	// ctx's end.
	Serve(ctx context.Context, p desk.Plugin, c desk.Channel) error
}

// Models is the gateway to models. *model.Gateway fills it.
type Models interface {
	// Open makes a socket in dir, which closing takes away. None: there are no models.
	Open(plugin, dir string) (socket, token string, closing func(), err error)
}

// Needs is what a Host is plugged into.
type Needs struct {
	Desk    Desk
	Models  Models // nil: there are none
	BuiltIn map[string]BuiltIn
	Log     *slog.Logger
}

// Host has all plugins of an installation.
type Host struct {
	cfg  Config
	need Needs
	log  *slog.Logger
	lock *lock
	walls
	grouping sync.Mutex // of cgroups
	run      string     // directory of sockets
	held     *os.File   // in it, as long as we are
	n        atomic.Int64

	mu      sync.Mutex
	bots    map[string]*bot
	seen    string // what Dir looked like
	wrong   error  // Dir cannot be used
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	stopped bool
}

// New reads plugins.lock and finds what there is. Nothing is started.
func New(cfg Config, need Needs) (*Host, error) {
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(cfg.Data, "plugins")
	}
	var err error
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return nil, err
	}
	if cfg.Drain == 0 {
		cfg.Drain = 30 * time.Second
	}
	if cfg.Poll == 0 {
		cfg.Poll = 3 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.SelfArgs == nil {
		cfg.SelfArgs = func(id string) []string { return []string{"plugin", id} }
	}
	if need.Log == nil {
		need.Log = slog.New(slog.DiscardHandler)
	}
	for _, id := range cfg.Only {
		if _, ok := need.BuiltIn[id]; !ok {
			return nil, fmt.Errorf("there is no built-in bot %q; there are %s", id, strings.Join(slices.Sorted(maps.Keys(need.BuiltIn)), ", "))
		}
	}
	h := &Host{cfg: cfg, need: need, log: need.Log, bots: map[string]*bot{}}
	if h.lock, err = openLock(cfg.Data); err != nil {
		return nil, err
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.scan()
	return h, nil
}

// Start starts what is approved. An error says that isolation is required and cannot be had.
func (h *Host) Start() error {
	if err := h.build(); err != nil {
		return err
	}
	if err := h.makeRun(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.bots {
		h.start(b)
	}
	h.running.Go(h.watch)
	return nil
}

// start runs a bot's supervisor. The caller has h.mu.
func (h *Host) start(b *bot) {
	if h.run == "" || h.stopped || b.started {
		return
	}
	b.started = true
	h.running.Go(func() { b.supervise(h.ctx) })
}

// hidden is what bots do not see: our directories, that of who runs us, and files with keys.
func (h *Host) hidden() []string {
	hide := []string{"/tmp", "/var/tmp", "/run", h.cfg.Data, h.run} // first where others leave sockets and files
	for _, file := range h.cfg.Private {
		if real, err := filepath.EvalSymlinks(file); err == nil {
			hide = append(hide, real)
		}
	}
	for _, raw := range h.cfg.Settings {
		var of struct {
			Secrets map[string]string `json:"secrets"`
		}
		_ = json.Unmarshal(raw, &of) // settings says what is wrong with them
		for _, file := range of.Secrets {
			if real, err := filepath.EvalSymlinks(file); err == nil && filepath.IsAbs(real) {
				hide = append(hide, real)
			}
		}
	}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && home != "/" {
		if real, err := filepath.EvalSymlinks(home); err == nil && real != "/" {
			hide = append(hide, real)
		}
	}
	return hide
}

// Stop ends all bots: what they have in hand may be finished as long as ctx goes on, less
// what ending them takes. It returns when nothing is left of them.
func (h *Host) Stop(ctx context.Context) {
	h.mu.Lock()
	h.stopped = true
	bots := slices.Collect(maps.Values(h.bots))
	h.mu.Unlock()
	deadline := time.Now().Add(h.cfg.Drain)
	if d, ok := ctx.Deadline(); ok && d.Add(-killWithin-2*goneWithin).Before(deadline) {
		deadline = d.Add(-killWithin - 2*goneWithin)
	}
	for _, b := range bots {
		b.hurry.Store(&deadline)
	}
	h.stop()
	h.running.Wait()
	if h.run != "" {
		_ = os.RemoveAll(h.run)
	}
	if h.held != nil {
		h.held.Close()
	}
}

// watch looks for new versions.
func (h *Host) watch() {
	t := time.NewTicker(h.cfg.Poll)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.scan()
		case <-h.ctx.Done():
			return
		}
	}
}

// looks is what a directory of plugins looks like, without reading it.
func looks(dir string) string {
	var s strings.Builder
	note := func(path string) bool {
		i, err := os.Stat(path)
		if err == nil {
			fmt.Fprintf(&s, "%s %d %d %o\n", path, i.ModTime().UnixNano(), i.Size(), i.Mode())
		}
		return err == nil
	}
	if !note(dir) {
		return ""
	}
	ids, _ := os.ReadDir(dir)
	for _, id := range ids {
		note(filepath.Join(dir, id.Name()))
		versions, _ := os.ReadDir(filepath.Join(dir, id.Name()))
		for _, v := range versions {
			at := filepath.Join(dir, id.Name(), v.Name())
			note(at)
			files, _ := os.ReadDir(at)
			for _, f := range files {
				note(filepath.Join(at, f.Name()))
			}
		}
	}
	return s.String()
}

// scan finds what there is, and tells those of which something changed.
func (h *Host) scan() {
	seen := looks(h.cfg.Dir)
	h.mu.Lock()
	defer h.mu.Unlock()
	if seen == h.seen && len(h.bots) > 0 {
		return
	}
	h.seen = seen
	all, err := discover(h.cfg.Dir)
	if err != nil && (h.wrong == nil || h.wrong.Error() != err.Error()) {
		h.log.Error("NO PLUGIN IS STARTED from the directory", "dir", h.cfg.Dir, "err", err)
	}
	h.wrong = err
	versions := map[string][]*found{}
	for id, v := range h.need.BuiltIn {
		if h.cfg.Only == nil || slices.Contains(h.cfg.Only, id) {
			versions[id] = []*found{{ID: id, Version: v.Version}}
		}
	}
	for id, list := range all {
		if _, ok := versions[id]; ok {
			for _, f := range list {
				f.Wrong = fmt.Errorf("%s: %s is the name of a built-in bot", f.Dir, id)
			}
			h.log.Error("a plugin is not started", "bot", id, "err", list[0].Wrong)
			continue
		}
		versions[id] = list
	}
	for id, list := range versions {
		b := h.bots[id]
		if b == nil {
			b = newBot(h, id)
			h.bots[id] = b
			h.start(b)
		}
		b.offer(list)
	}
	for id, b := range h.bots {
		if _, ok := versions[id]; !ok {
			b.offer(nil)
		}
	}
}

// Reload looks at the directory now.
func (h *Host) Reload() {
	h.mu.Lock()
	h.seen = ""
	h.mu.Unlock()
	h.scan()
}

// bot finds a plugin: NOT_FOUND.
func (h *Host) bot(id string) (*bot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.bots[strings.TrimPrefix(id, "b_")]; b != nil {
		return b, nil
	}
	return nil, protocol.NotFound("bot %.64q", id)
}

// Names are all plugins that there are.
func (h *Host) Names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.bots))
}

// Running says whether Start was called.
func (h *Host) Running() bool { return h.run != "" }

// IsolationLevel is how bots are kept apart, and why not better.
func (h *Host) IsolationLevel() (string, error) {
	if h.run == "" {
		return "", nil
	}
	return h.walls.String(), h.why
}

// settings cuts a plugin's settings into what it is told and what is said of it: its
// secrets, whose files are read, and whether it moderates everywhere.
func (h *Host) settings(id string) (config string, secrets map[string]string, everywhere bool, err error) {
	text := h.cfg.Settings[id]
	if len(text) == 0 {
		return "", nil, false, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return "", nil, false, fmt.Errorf("the settings of bot %s are no object: %w", id, err)
	}
	if raw, ok := all["secrets"]; ok {
		var files map[string]string
		if err := json.Unmarshal(raw, &files); err != nil {
			return "", nil, false, fmt.Errorf("the settings of bot %s: secrets has to be {NAME: FILE}", id)
		}
		secrets = map[string]string{}
		for name, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", nil, false, fmt.Errorf("the settings of bot %s: the secret %s: %w", id, name, err)
			}
			secrets[name] = strings.TrimRight(string(text), "\r\n")
		}
		delete(all, "secrets")
	}
	if raw, ok := all["everywhere"]; ok {
		if err := json.Unmarshal(raw, &everywhere); err != nil {
			return "", nil, false, fmt.Errorf("the settings of bot %s: everywhere is true or false", id)
		}
		delete(all, "everywhere")
	}
	told, err := json.Marshal(all)
	return string(told), secrets, everywhere, err
}
