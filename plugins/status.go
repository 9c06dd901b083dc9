package plugins

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Status is a plugin as administrators see it. The JSON is what REST and the admin
// socket say.
type Status struct {
	ID        string           `json:"id"`
	Name      string           `json:"name" doc:"Of its first persona; the id, when it never ran"`
	Version   string           `json:"version,omitempty" doc:"That runs, or is the newest"`
	BuiltIn   bool             `json:"builtIn,omitempty" doc:"It came with the server, and needs no approval"`
	State     State            `json:"state" enum:"discovered,verified,starting,handshaken,described,ready,degraded,draining,stopped,needs approval,disabled,broken,quarantined"`
	Since     time.Time        `json:"since"`
	Why       string           `json:"why,omitempty" doc:"Of the state, in words"`
	Up        bool             `json:"up" doc:"It takes events"`
	PID       int              `json:"pid,omitempty"`
	Started   *time.Time       `json:"startedAt,omitempty"`
	TookMs    float64          `json:"tookMs,omitempty" doc:"From its start until it said who it is"`
	RSS       int64            `json:"rss,omitempty" doc:"Bytes"`
	PSS       int64            `json:"pss,omitempty" doc:"Bytes: what it shares with others is counted in part"`
	Isolation string           `json:"isolation,omitempty" doc:"namespaces, or less: see docs/bots.md"`
	SDK       string           `json:"sdk,omitempty"`
	Starts    int              `json:"starts"`
	Crashes   int              `json:"crashes"`
	Circuit   Circuit          `json:"circuit" enum:"closed,open,half-open" doc:"Open: it crashed too often and is not tried"`
	RetryAt   *time.Time       `json:"retryAt,omitempty"`
	Personas  []BotPersona     `json:"personas"`
	Commands  []BotCommand     `json:"commands"`
	Scopes    []string         `json:"scopes" doc:"Granted"`
	Asked     []string         `json:"asked" doc:"Scopes that it asks for"`
	Approve   []PendingVersion `json:"approve" doc:"Versions that wait for somebody's approval"`
	Events    []BotChange      `json:"events" doc:"Changes of its state, the oldest first; 100 at most"`
	InHand    int              `json:"inHand" doc:"Events that it was given and did not acknowledge"`
}

// BotPersona is a user that a plugin is.
type BotPersona struct {
	User   protocol.UserID `json:"user"`
	Name   string          `json:"name"`
	About  string          `json:"about,omitempty"`
	Avatar string          `json:"avatar,omitempty"`
}

// BotCommand is one of a plugin's.
type BotCommand struct {
	Name        string `json:"name"`
	Help        string `json:"help,omitempty"`
	Destructive bool   `json:"destructive,omitempty"`
}

// PendingVersion is a version that was not approved as it is.
type PendingVersion struct {
	Version  string   `json:"version"`
	Why      string   `json:"why"`
	Scopes   []string `json:"scopes" doc:"That it asks for"`
	New      []string `json:"new" doc:"Of these, those that no approved version has"`
	Manifest string   `json:"manifest,omitempty" doc:"SHA-256"`
	Binary   string   `json:"binary,omitempty" doc:"SHA-256"`
}

// Status gives all plugins, by id. memory also asks the system what their processes take.
func (h *Host) Status(memory bool) []*Status {
	all := []*Status{}
	for _, id := range h.Names() {
		if b, err := h.bot(id); err == nil {
			all = append(all, b.status(memory))
		}
	}
	return all
}

// StatusOf gives one: NOT_FOUND.
func (h *Host) StatusOf(id string) (*Status, error) {
	b, err := h.bot(id)
	if err != nil {
		return nil, err
	}
	return b.status(true), nil
}

func (b *bot) status(memory bool) *Status {
	b.mu.Lock()
	r, versions := b.current, b.versions
	s := &Status{
		ID: b.id, Name: b.id, State: b.state, Since: b.since, Why: b.why, Up: b.state == Ready || b.state == Degraded,
		Starts: b.starts, Crashes: b.crashes, Circuit: b.fuse.state(), Events: slices.Clone(b.events),
		Personas: []BotPersona{}, Commands: []BotCommand{}, Scopes: []string{}, Asked: []string{}, Approve: []PendingVersion{},
	}
	if b.fuse.again.After(b.host.cfg.Now()) {
		again := b.fuse.again
		s.RetryAt = &again
	}
	about := b.about
	b.mu.Unlock()
	if len(versions) > 0 {
		s.Version, s.BuiltIn = versions[0].Version, versions[0].builtIn()
		if m := versions[0].Manifest; m != nil {
			s.Asked = append(s.Asked, m.Scopes...)
		}
	}
	if about != nil {
		s.describe(b.id, about)
	}
	if r != nil {
		started := r.started
		s.Version, s.PID, s.Started, s.TookMs, s.InHand = r.found.Version, r.pid(), &started, float64(r.took.Microseconds())/1000, r.sight.inHand()
		s.Scopes = append(s.Scopes, r.scopes...)
		s.Isolation, _ = b.host.IsolationLevel()
		if s.Version == "" {
			s.Version = r.about.Version
		}
		if memory {
			s.RSS, s.PSS = memoryOf(s.PID)
		}
	}
	s.Approve = append(s.Approve, b.pending(versions)...)
	return s
}

func (s *Status) describe(id string, d *botv1.Describe) {
	s.SDK = d.Sdk
	if s.BuiltIn {
		s.Asked = append([]string{}, d.Scopes...)
	}
	for _, p := range d.Personas {
		name := p.Name
		if name == "" {
			name = id
		}
		s.Personas = append(s.Personas, BotPersona{protocol.BotUserID(id, p.Handle), name, p.About, p.Avatar})
	}
	if len(s.Personas) == 0 {
		s.Personas = append(s.Personas, BotPersona{User: protocol.BotUserID(id, ""), Name: id})
	}
	s.Name = s.Personas[0].Name
	for _, c := range d.Commands {
		s.Commands = append(s.Commands, BotCommand{c.Name, c.Help, c.Destructive})
	}
}

// pending are the versions that may not run as they are, the newest first: newer ones
// than what was approved alone.
func (b *bot) pending(versions []*found) []PendingVersion {
	var all []PendingVersion
	granted := map[string]bool{}
	for _, f := range versions {
		if a := b.host.lock.approval(f.ID, f.Version); a != nil {
			for _, scope := range a.Scopes {
				granted[scope] = true
			}
		}
	}
	for _, f := range versions {
		if f.builtIn() || f.Wrong != nil {
			continue
		}
		p := PendingVersion{Version: f.Version, Scopes: append([]string{}, f.Manifest.Scopes...), New: []string{}, Manifest: f.Sum}
		a := b.host.lock.approval(f.ID, f.Version)
		switch {
		case a == nil:
			p.Why = "it was not approved"
		case a.Manifest != f.Sum:
			p.Why = "its manifest is another than the one that was approved"
		default:
			sum, err := f.sumOf()
			if err != nil || sum == a.Binary {
				return all // older ones do not matter
			}
			p.Why, p.Binary = "its program is another than the one that was approved", sum
		}
		if p.Binary == "" {
			p.Binary, _ = f.sumOf()
		}
		for _, scope := range p.Scopes {
			if !granted[scope] {
				p.New = append(p.New, scope)
			}
		}
		all = append(all, p)
	}
	return all
}

// Approve lets the newest version that waits for it run, with the scopes that are given;
// nil: with those that it asks for. by is whom plugins.lock names.
func (h *Host) Approve(id, by string, scopes []string) (*Approval, error) {
	b, err := h.bot(id)
	if err != nil {
		return nil, err
	}
	h.Reload()
	b.mu.Lock()
	versions := b.versions
	b.mu.Unlock()
	if len(versions) == 0 {
		return nil, protocol.NotFound("bot %.64q has no version in %s", id, h.cfg.Dir)
	}
	f := versions[0]
	if f.builtIn() {
		return nil, protocol.BadRequest("%s is built in: it needs no approval", id)
	}
	if f.Wrong != nil {
		return nil, protocol.BadRequest("version %s cannot be run: %v", f.Version, f.Wrong)
	}
	sum, err := f.sumOf()
	if err != nil {
		return nil, protocol.BadRequest("version %s cannot be run: %v", f.Version, err)
	}
	if scopes == nil {
		scopes = slices.Clone(f.Manifest.Scopes)
	}
	for _, scope := range scopes {
		if !slices.Contains(f.Manifest.Scopes, scope) {
			return nil, protocol.BadRequest("version %s does not ask for the scope %q: it asks for %s", f.Version, scope, strings.Join(f.Manifest.Scopes, ", "))
		}
	}
	a := Approval{ID: f.ID, Version: f.Version, Manifest: f.Sum, Binary: sum, Scopes: scopes, By: by, At: h.cfg.Now().UTC().Truncate(time.Second)}
	if err := h.lock.approve(a); err != nil {
		return nil, err
	}
	h.log.Info("a bot was approved", "bot", id, "version", a.Version, "scopes", a.Scopes, "by", by)
	b.mu.Lock()
	delete(b.bad, a.Version+" "+a.Binary)
	b.mu.Unlock()
	b.nudge()
	return &a, nil
}

// Restart ends a plugin in peace and starts it anew, also when it crashed too often.
func (h *Host) Restart(id string) error {
	b, err := h.bot(id)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.restart = true
	clear(b.bad)
	b.mu.Unlock()
	h.Reload()
	b.nudge()
	return nil
}

// Enable switches a plugin on or off, also over restarts of the server.
func (h *Host) Enable(id string, on bool) error {
	b, err := h.bot(id)
	if err != nil {
		return err
	}
	if err := h.lock.disable(b.id, !on); err != nil {
		return err
	}
	if on {
		b.mu.Lock()
		b.fuse.reset()
		b.mu.Unlock()
	}
	b.nudge()
	return nil
}

// Logs gives the lines that a plugin wrote behind the nth, 200 at most, and what is
// closed when there are more.
func (h *Host) Logs(id string, after int64) ([]Line, <-chan struct{}, error) {
	b, err := h.bot(id)
	if err != nil {
		return nil, nil, err
	}
	lines, more := b.journal.after(after)
	return lines, more, nil
}

// Dir is where plugins are looked for.
func (h *Host) Dir() string { return h.cfg.Dir }

// Has says whether there is a plugin, or a built-in bot that does not run, with an id.
func (h *Host) Has(id string) bool {
	_, err := h.bot(id)
	_, builtIn := h.need.BuiltIn[id]
	return err == nil || builtIn
}

// Settled waits until no plugin is about to start: each is up, or waits for somebody.
// It is for tests and for the first words of a server; false: it did not come to that.
func (h *Host) Settled(within time.Duration) bool {
	deadline := time.Now().Add(within)
	for {
		if !slices.ContainsFunc(h.Status(false), func(s *Status) bool {
			return slices.Contains([]State{"", Discovered, Verified, Starting, Handshaken, Described, Draining}, s.State)
		}) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
}

// BuiltInNames are the bots that this program is besides itself.
func (h *Host) BuiltInNames() []string { return slices.Sorted(maps.Keys(h.need.BuiltIn)) }
