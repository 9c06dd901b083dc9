package plugins

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"
)

// A new version that crashes so often so soon gives way to the one before it.
const rollbackAt, rollbackWithin = 3, time.Minute

// chosen is the version that is to run, and with what.
type chosen struct {
	*found
	scopes []string
	as     string // the same as long as nobody changed or approved anything
}

// plan says which version is to run; nil: none, as the state says that goes with it.
func (b *bot) plan() (*chosen, State, error) {
	b.mu.Lock()
	versions, bad := b.versions, maps.Clone(b.bad)
	b.mu.Unlock()
	if len(versions) == 0 {
		return nil, Stopped, errors.New("it is not there any more")
	}
	if b.host.lock.disabled(b.id) {
		return nil, Disabled, errors.New("somebody switched it off: troupe bot enable " + b.id)
	}
	var state State
	var why error
	note := func(s State, err error) {
		if state == "" { // what is said is of the newest
			state, why = s, err
		}
	}
	for _, f := range versions {
		if f.builtIn() {
			return &chosen{f, nil, "built in"}, "", nil
		}
		if f.Wrong != nil {
			note(Broken, f.Wrong)
			continue
		}
		a := b.host.lock.approval(f.ID, f.Version)
		switch {
		case a == nil:
			note(NeedsApproval, fmt.Errorf("version %s was not approved: troupe bot approve %s", f.Version, f.ID))
		case a.Manifest != f.Sum:
			note(NeedsApproval, fmt.Errorf("the manifest of version %s is another than the one that was approved: troupe bot approve %s", f.Version, f.ID))
		case bad[f.Version+" "+a.Binary]:
			note(Broken, fmt.Errorf("version %s crashed %d times within %v", f.Version, rollbackAt, rollbackWithin))
		default:
			return &chosen{f, a.Scopes, fmt.Sprint(f.Version, f.Sum, a.Binary, a.Scopes, a.At.UnixNano())}, "", nil
		}
	}
	return nil, state, why
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// says says whether a bot that calls itself version is the one of a directory, which may
// have more behind it: 1.0.0-dev.7 is 1.0.0.
func says(dir, version string) bool {
	core, _, _ := strings.Cut(dir, "-")
	return version == dir || version == core
}

// failedToStart notes what came of a start, and says whether another try is of no use.
func (b *bot) failedToStart(f *found, err error) bool {
	var broken errBroken
	var approval errNeedsApproval
	switch {
	case errors.As(err, &approval):
		b.enter(NeedsApproval, f.Version, err.Error())
	case errors.As(err, &broken):
		b.enter(Broken, f.Version, err.Error())
	default:
		b.crashed(f, 0, err)
		return false
	}
	return true
}

// crashed notes that a process ended that should not have.
func (b *bot) crashed(f *found, up time.Duration, err error) {
	now := b.host.cfg.Now()
	b.mu.Lock()
	b.crashes++
	b.fuse.crashed(now, up)
	wait, circuit := b.fuse.again.Sub(now), b.fuse.state()
	rolled := false
	if !f.builtIn() {
		if b.earlyOf != f.Version || now.Sub(b.lastUp) > rollbackWithin {
			b.earlyOf, b.early, b.lastUp = f.Version, 0, now
		}
		if b.early++; b.early >= rollbackAt && len(b.versions) > 1 && b.versions[len(b.versions)-1] != f {
			if a := b.host.lock.approval(f.ID, f.Version); a != nil {
				b.bad[f.Version+" "+a.Binary], rolled = true, true
				b.fuse.reset()
			}
		}
	}
	b.mu.Unlock()
	switch {
	case rolled:
		b.enter(Broken, f.Version, fmt.Sprintf("version %s crashed %d times within %v; the one before it is started again: %v", f.Version, rollbackAt, rollbackWithin, err))
	case circuit == Open:
		b.enter(Quarantined, f.Version, fmt.Sprintf("it crashed %d times within %v and is tried again in %v: %v", openAt, openWithin, wait.Round(time.Second), err))
	default:
		b.change(slog.LevelWarn, Stopped, f.Version, fmt.Sprintf("it ended, and is started again in %v: %v", wait.Round(100*time.Millisecond), err))
	}
}
