package filectr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Release is one version of a client that an administrator has given out. Clients of an
// application, platform and channel are told of the newest one that is not withdrawn.
type Release struct {
	ID       string
	App      string // whose client it is, "": the installation's
	Platform string // as clients say it at their sign-in
	Channel  string // stable, beta, …
	Version  string // see version
	Build    int64  // 0: none
	Minimum  string // clients below this have to go on to it, "": none have
	Notes    map[string]string
	By       string // who made it, as the audit log has it
	Created  time.Time

	File protocol.FileID // which is the installation's from then on
	Name string          // of the file, as are the following
	Mime string
	Size int64
	Sum  Sum

	Withdrawn   time.Time // zero: it stands
	WithdrawnBy string
}

// ReleaseStore keeps releases.
type ReleaseStore interface {
	// Releases gives all of them, withdrawn ones too.
	Releases(ctx context.Context) ([]*Release, error)
	// AddRelease keeps a new release. Its file is nobody's own any more: it counts against
	// the quota of all alone, and is kept for as long as the release stands.
	AddRelease(ctx context.Context, r *Release) error
	// WithdrawRelease sets Withdrawn and WithdrawnBy where the release stands, and lets go
	// of its file.
	WithdrawRelease(ctx context.Context, id, by string, at time.Time) error
}

// Admins knows administrators, and writes down what they do.
type Admins interface {
	// Administer says who asks in ctx, as the audit log names it, when they may do what. DENIED.
	Administer(ctx context.Context, what access.Action) (by string, err error)
	ReleaseMade(ctx context.Context, by, release, note string) error
	ReleaseWithdrawn(ctx context.Context, by, release, note string) error
}

// Bounds of releases. They are all kept in memory.
const (
	maxReleases = 10_000
	maxWord     = 32 // bytes of a platform or channel
	maxNotes    = 20
	maxNote     = 4000 // characters of all notes of a release together
	stable      = "stable"
)

// NewRelease is what is said of a release that is to be made.
type NewRelease struct {
	App, Platform, Channel string // a Channel "" is stable
	Version                string
	Build                  int64
	Minimum                string
	Notes                  map[string]string // by language
	File                   protocol.FileID
}

// check puts n in order, or says what is wrong with it.
func (c *Center) check(n *NewRelease) error {
	l := laneOf(n.App, n.Platform, n.Channel)
	n.Platform, n.Channel = l.platform, l.channel
	for what, word := range map[string]string{"platform": n.Platform, "channel": n.Channel} {
		if !isWords(word) || len(word) > maxWord {
			return protocol.BadRequest("%s: 1 to %d letters, digits, - and . are needed", what, maxWord)
		}
	}
	if n.App != "" && (c.cfg.Apps == nil || !c.cfg.Apps.HasApp(n.App)) {
		return protocol.NotFound("application %.64q", n.App)
	}
	v, ok := parseVersion(n.Version)
	if !ok {
		return protocol.BadRequest("version: %.64q is none like 1.4.2, 10402, 2.0-beta.1 or 1.4.2+10402", n.Version)
	}
	if n.Build == 0 {
		n.Build = v.build
	}
	if n.Build < 0 || v.build != 0 && v.build != n.Build {
		return protocol.BadRequest("build: it is above 0, and the one behind the version's +")
	}
	v.build = n.Build
	if n.Minimum != "" {
		least, ok := parseVersion(n.Minimum)
		if !ok || v.older(least) {
			return protocol.BadRequest("minimum: %.64q is no version up to %s", n.Minimum, n.Version)
		}
	}
	chars := 0
	for language, text := range n.Notes {
		if !isWords(language) || len(language) > maxWord || !plain(text) {
			return protocol.BadRequest("notes: plain texts are needed, by their languages: en, zh-CN, or default")
		}
		chars += utf8.RuneCountInString(text)
	}
	if chars > maxNote || len(n.Notes) > maxNotes {
		return protocol.TooLarge("notes: %d characters at most in %d languages", maxNote, maxNotes)
	}
	return nil
}

// plain says whether a text has lines of characters that can be seen, and nothing else.
func plain(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// MakeRelease makes a release of a file that who asks has uploaded, or that another
// release has. made is false when it was made before just so. by is whom the audit log
// names, user whose files may be taken, "": the installation's. NOT_FOUND: no such file or
// application; UNSUPPORTED: the file is no package; CONFLICT: there is, or was, another
// release of this version; BAD_REQUEST, TOO_LARGE, TOO_MANY.
func (c *Center) MakeRelease(ctx context.Context, by string, user protocol.UserID, n NewRelease) (r *Release, made bool, err error) {
	if err := c.check(&n); err != nil {
		return nil, false, err
	}
	c.releases.changing.Lock()
	defer c.releases.changing.Unlock()
	f, err := c.releasable(ctx, user, n.File)
	if err != nil {
		return nil, false, err
	}
	r = &Release{
		ID: "r_" + protocol.NewFileID()[2:], App: n.App, Platform: n.Platform, Channel: n.Channel, Version: n.Version, Build: n.Build,
		Minimum: n.Minimum, Notes: n.Notes, By: by, Created: c.now(),
		File: f.ID, Name: f.Name, Mime: f.Mime, Size: f.Size, Sum: f.Sum,
	}
	same := c.releases.find(func(is *Release) bool { return is.lane() == r.lane() && is.version().alike(r.version()) })
	if len(same) > 0 {
		is := same[max(0, slices.IndexFunc(same, func(is *Release) bool { return is.Build == r.Build }))]
		switch {
		case is.Build != r.Build:
			return nil, false, protocol.Conflict("version %s was released as %s, and one of the two says its build and the other does not: clients would not tell them apart", is.Version, is.ID)
		case !is.stands():
			return nil, false, protocol.Conflict("version %s was released and withdrawn: give the next one another version, so that clients tell them apart", is.Version)
		case is.Sum != r.Sum || is.Minimum != r.Minimum || !maps.Equal(is.Notes, r.Notes):
			return nil, false, protocol.Conflict("version %s was released as %s with another file, minimum or notes", is.Version, is.ID)
		}
		return is, false, nil
	}
	if len(c.releases.find(func(*Release) bool { return true })) >= maxReleases {
		return nil, false, protocol.Errorf(protocol.Code_TOO_MANY, "there are %d releases, which is as many as there may be", maxReleases)
	}
	if err := c.cfg.Admins.ReleaseMade(ctx, by, r.ID, r.says()); err != nil {
		return nil, false, err
	}
	if err := c.store.AddRelease(ctx, r); err != nil {
		return nil, false, err
	}
	c.log.Info("a release was made", "release", r.ID, "of", r.says(), "by", by)
	return r, true, c.releases.load(ctx, c.store)
}

// says is a release in words, for logs.
func (r *Release) says() string {
	text := r.Platform + " " + r.Channel + " " + r.Version
	if r.Build != 0 {
		text += fmt.Sprintf(" build %d", r.Build)
	}
	if r.App != "" {
		text += " of " + r.App
	}
	return text
}

// archives are what is released for platforms that have no packages.
var archives = []string{zipArchive, "application/gzip"}

// releasable gives a file that user may release.
func (c *Center) releasable(ctx context.Context, user protocol.UserID, id protocol.FileID) (*File, error) {
	if !protocol.IsFileID(id) {
		return nil, protocol.NotFound("file %.64q", id)
	}
	f, err := c.store.File(ctx, id)
	if err != nil {
		return nil, err
	}
	released := len(c.releases.find(func(r *Release) bool { return r.File == id && r.stands() })) > 0
	if f.Owner != user && !released {
		return nil, protocol.NotFound("file %s", id)
	}
	if f.Kind != Package && !slices.Contains(archives, f.Mime) {
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "file %s is no application package, ZIP or gzip archive, but %s", id, f.Mime)
	}
	return f, nil
}

// ReleaseFrom is MakeRelease of a file of this machine.
func (c *Center) ReleaseFrom(ctx context.Context, by, path string, n NewRelease) (r *Release, made bool, err error) {
	if err := c.check(&n); err != nil {
		return nil, false, err
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, protocol.BadRequest("%s is no file", path)
	}
	f, err := c.Take(ctx, Upload{Name: filepath.Base(path), Size: info.Size()}, in)
	if err != nil {
		return nil, false, err
	}
	n.File = f.ID
	if r, made, err = c.MakeRelease(ctx, by, "", n); err != nil || !made {
		if e := c.remove(context.WithoutCancel(ctx), f); !errors.Is(e, ErrInUse) {
			err = errors.Join(err, e)
		}
	}
	return r, made, err
}

// Withdraw ends a release: nobody is told of it or given it any more, and clients are told
// of the next older one. Withdrawn before: no error. NOT_FOUND.
func (c *Center) Withdraw(ctx context.Context, by, id string) (*Release, error) {
	c.releases.changing.Lock()
	defer c.releases.changing.Unlock()
	r, err := c.Release(id)
	if err != nil || !r.stands() {
		return r, err
	}
	if err := c.cfg.Admins.ReleaseWithdrawn(ctx, by, id, r.says()); err != nil {
		return nil, err
	}
	if err := c.store.WithdrawRelease(ctx, id, by, c.now()); err != nil {
		return nil, err
	}
	c.log.Info("a release was withdrawn", "release", id, "of", r.says(), "by", by)
	if err := c.releases.load(ctx, c.store); err != nil {
		return nil, err
	}
	return c.Release(id)
}

// Release gives a release, also a withdrawn one. NOT_FOUND.
func (c *Center) Release(id string) (*Release, error) {
	if r := c.releases.get(id); r != nil {
		return r, nil
	}
	return nil, protocol.NotFound("release %.64q", id)
}

// ReleasesOf says which releases are asked for; "" is all.
type ReleasesOf struct {
	App, Platform, Channel string
	Withdrawn              bool // those too
}

// Releases gives up to limit releases, the last made first, behind the one called after.
func (c *Center) Releases(of ReleasesOf, after string, limit int) []*Release {
	all := c.releases.find(func(r *Release) bool {
		return (of.App == "" || r.App == of.App) && (of.Platform == "" || r.Platform == of.Platform) &&
			(of.Channel == "" || r.Channel == of.Channel) && (of.Withdrawn || r.stands())
	})
	if i := slices.IndexFunc(all, func(r *Release) bool { return r.ID == after }); after != "" {
		all = all[i+1:]
	}
	return all[:min(limit, len(all))]
}
