package filectr

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/troupe-im/troupe/internal/protocol"
)

// lane is what releases take each other's place in.
type lane struct{ app, platform, channel string }

// laneOf is where a client belongs by what it says of itself. Letter case is nothing to it.
func laneOf(app, platform, channel string) lane {
	return lane{app, strings.ToLower(platform), strings.ToLower(cmp.Or(channel, stable))}
}

func (r *Release) lane() lane { return lane{r.App, r.Platform, r.Channel} }

// version is r's, which was good when it was made.
func (r *Release) version() version {
	v, _ := parseVersion(r.Version)
	v.build = r.Build
	return v
}

func (r *Release) stands() bool { return r.Withdrawn.IsZero() }

// releases are all releases; what it gives is changed by nobody.
type releases struct {
	changing sync.Mutex // held while the store and what is below change together
	mu       sync.RWMutex
	all      map[string]*Release
	newest   map[lane]*Release // of those that stand
}

// load reads all releases anew.
func (s *releases) load(ctx context.Context, store ReleaseStore) error {
	rows, err := store.Releases(ctx)
	if err != nil {
		return fmt.Errorf("filectr: releases: %w", err)
	}
	all, newest := map[string]*Release{}, map[lane]*Release{}
	for _, r := range rows {
		all[r.ID] = r
		if is := newest[r.lane()]; r.stands() && (is == nil || r.version().compare(is.version()) > 0) {
			newest[r.lane()] = r
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.newest = all, newest
	return nil
}

func (s *releases) get(id string) *Release {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all[id]
}

// find gives those that which picks, the last made first.
func (s *releases) find(which func(*Release) bool) []*Release {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*Release
	for _, r := range s.all {
		if which(r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *Release) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return found
}

// newestOf gives the newest release of a lane that stands; nil: there is none.
func (s *releases) newestOf(l lane) *Release {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.newest[l]
}

// How a client's version stands to the newest release.
const (
	current   = "current"
	available = "available"
	required  = "required" // the client is below the release's minimum
)

// state is how a client's version stands to r.
func (r *Release) state(client version) string {
	least, bounded := parseVersion(r.Minimum)
	switch {
	case !client.older(r.version()):
		return current
	case bounded && client.older(least):
		return required
	}
	return available
}

// Newer gives the newest release of a client that is newer than the version the client
// says it has; nil: there is none, or what the client says is no version. It is answered
// from memory. A channel "" is the stable one.
func (c *Center) Newer(app, platform, channel, client string) *protocol.Release {
	if platform == "" || client == "" {
		return nil
	}
	r := c.releases.newestOf(laneOf(app, platform, channel))
	has, ok := parseVersion(client)
	if r == nil || !ok {
		return nil
	}
	state := r.state(has)
	if state == current {
		return nil
	}
	return &protocol.Release{
		State: state, Release: r.ID, Version: r.Version, Build: r.Build, Minimum: r.Minimum, Notes: maps.Clone(r.Notes),
		Name: r.Name, Size: r.Size, Sha256: r.Sum.String(), Url: c.releaseURL(r),
	}
}

func (c *Center) releaseURL(r *Release) string {
	return c.cfg.Origin + "/api/v2/releases/" + r.ID + "/file"
}
