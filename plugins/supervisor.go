package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/troupe-im/troupe/plugins/desk"
)

// unresponsive is how long a bot that is to drain may leave a ping unanswered.
const unresponsive = time.Second

// supervise runs the plugin until ctx ends.
func (b *bot) supervise(ctx context.Context) {
	defer b.draining.Wait()
	failed := "" // what cannot be started as it is
	for ctx.Err() == nil {
		c, state, why := b.plan()
		b.mu.Lock()
		if b.restart {
			b.restart, failed = false, ""
			b.fuse.reset()
		}
		wait := b.fuse.again.Sub(b.host.cfg.Now())
		b.mu.Unlock()
		switch {
		case c == nil:
			b.enter(state, "", text(why))
			b.sleep(ctx, 0)
			continue
		case c.as == failed:
			b.sleep(ctx, 0)
			continue
		case wait > 0:
			b.sleep(ctx, wait)
			continue
		}
		b.enter(Verified, c.Version, "")
		r, err := b.begin(c)
		if err != nil {
			if b.failedToStart(c.found, err) {
				failed = c.as
			}
			continue
		}
		if b.tend(ctx, r) {
			failed = c.as
		}
	}
	b.enter(Stopped, "", "the server stops")
}

// sleep waits for a nudge, for ctx's end and, above 0, for a time.
func (b *bot) sleep(ctx context.Context, d time.Duration) {
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-b.wake:
	case <-after:
	case <-ctx.Done():
	}
}

// begin starts a version, up to where it has said who it is.
func (b *bot) begin(c *chosen) (*running, error) {
	f, scopes := c.found, c.scopes
	config, secrets, everywhere, err := b.host.settings(b.id)
	if err != nil {
		return nil, errBroken{err}
	}
	schema, err := f.schemaFile()
	if err == nil {
		err = checkSettings(b.id, schema, config)
	}
	if err != nil {
		return nil, errBroken{err}
	}
	b.mu.Lock()
	b.fuse.started()
	b.starts++
	b.mu.Unlock()
	b.enter(Starting, f.Version, "")
	var r *running
	seen := &sight{bot: b, version: f.Version, sent: map[string]bool{}}
	if r, err = b.launch(f, seen); err != nil {
		return nil, err
	}
	r.as = c.as
	b.enter(Handshaken, f.Version, "")
	if r.about.Id != b.id || !f.builtIn() && !says(f.Version, r.about.Version) {
		r.end()
		return nil, errBroken{fmt.Errorf("it says that it is %.64q %.64q, and is %s %s", r.about.Id, r.about.Version, b.id, f.Version)}
	}
	if err := checkSettings(b.id, r.about.ConfigSchema, config); err != nil {
		r.end()
		return nil, errBroken{err}
	}
	b.enter(Described, f.Version, "")
	p := desk.Plugin{ID: b.id, Version: r.about.Version, Scopes: scopes, Config: config, Secrets: secrets}
	if f.builtIn() {
		// What came along was looked at by who put it there: all that it asks for, and to speak.
		if p.Scopes = slices.Clone(r.about.Scopes); !slices.Contains(p.Scopes, "write") {
			p.Scopes = append(p.Scopes, "write")
		}
	} else {
		everywhere = everywhere || f.Manifest.Everywhere
	}
	p.Everywhere = everywhere && slices.Contains(p.Scopes, "moderate")
	r.scopes = p.Scopes
	if m := b.host.need.Models; m != nil && slices.ContainsFunc(p.Scopes, func(s string) bool { return s == "model" }) {
		socket, token, closing, err := m.Open(b.id, r.dir)
		if err != nil {
			r.end()
			return nil, err
		}
		r.model, p.Model = closing, desk.Model{Socket: socket, Token: token}
		if socket != "" {
			if err := b.host.give(socket); err != nil {
				r.end()
				return nil, err
			}
		}
	}
	b.mu.Lock()
	b.current, b.about = r, r.about
	b.mu.Unlock()
	b.serve(r, p)
	return r, nil
}

// tend looks after a process until it ends or gives way. true: it is not to be started
// again as it is.
func (b *bot) tend(ctx context.Context, r *running) bool {
	steadied := time.NewTimer(steady)
	defer steadied.Stop()
	for {
		select {
		case err := <-r.served:
			return b.lost(r, err)
		case <-r.process.gone:
			r.channel.Close("the bot's process ended")
			return b.lost(r, <-r.served)
		case <-steadied.C:
			b.mu.Lock()
			b.fuse.steadied(steady)
			b.mu.Unlock()
		case <-ctx.Done():
			b.retire(r, "the server stops")
			return false
		case <-b.wake:
			b.mu.Lock()
			again := b.restart
			b.mu.Unlock()
			c, state, why := b.plan()
			switch {
			case again:
				b.retire(r, "somebody asked for a restart")
				return false
			case c == nil:
				b.retire(r, text(why))
				b.enter(state, "", text(why))
				return false
			case c.as == r.as:
				continue
			}
			if next := b.replace(r, c); next != nil {
				r = next
				steadied.Reset(steady)
			}
		}
	}
}

// replace starts another version beside the one that runs, which then finishes what it
// has in hand. nil: the other did not come up, and the one that runs goes on.
func (b *bot) replace(old *running, c *chosen) *running {
	b.log.Info("another version of a bot is started beside the one that runs", "version", c.Version, "running", old.found.Version)
	next, err := b.begin(c)
	if err != nil {
		b.log.Error("another version of a bot did not come up; the one that runs goes on", "version", c.Version, "err", err)
		old.as = c.as // it is not tried again as it is
		b.enter(Ready, old.found.Version, fmt.Sprintf("version %s did not come up: %v", c.Version, err))
		return nil
	}
	b.draining.Go(func() { b.finish(old) })
	return next
}

// lost cleans up after a process that ended by itself, or whose stream did.
func (b *bot) lost(r *running, err error) bool {
	up := b.host.cfg.Now().Sub(r.started)
	if err == nil {
		err = errors.New("its stream ended")
	}
	select { // a process that is about to be gone says more
	case <-r.process.gone:
		if r.process.err != nil {
			err = fmt.Errorf("%w (%w)", r.process.err, err)
		}
	case <-time.After(lastWords):
	}
	if r.group.Starved() {
		err = fmt.Errorf("it took more memory than its limit: %w", err)
	}
	if said := b.journal.died(); said != "" {
		err = fmt.Errorf("%.200s: %w", said, err)
	}
	b.change(slog.LevelDebug, Stopped, r.found.Version, "it ended: "+err.Error()) // crashed says more
	b.over(r)
	b.cleanUp(r)
	if why := r.sight.whyRefused(); why != "" {
		b.enter(Broken, r.found.Version, "it was refused: "+why)
		return true
	}
	b.crashed(r.found, up, err)
	return false
}

// retire ends a process in peace.
func (b *bot) retire(r *running, why string) {
	b.enter(Draining, r.found.Version, why)
	b.finish(r)
	b.over(r)
	b.enter(Stopped, r.found.Version, why)
}

func (b *bot) over(r *running) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == r {
		b.current = nil
	}
}

// finish has a process finish what it has in hand, as long as it shows that it is alive,
// and ends it.
func (b *bot) finish(r *running) {
	r.drain()
	deadline := time.Now().Add(b.host.cfg.Drain)
	for waiting := true; waiting; {
		if hurry := b.hurry.Load(); hurry != nil && hurry.Before(deadline) {
			deadline = *hurry
		}
		left := time.Until(deadline)
		if left <= 0 {
			b.log.Warn("a bot did not finish in time what it had in hand", "version", r.found.Version)
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), min(left, unresponsive))
		silent := make(chan error, 1)
		go func() {
			silent <- r.channel.ping(ctx)
			<-ctx.Done()
		}()
		select {
		case <-r.served:
			waiting = false
		case <-r.process.gone:
			waiting = false
		case <-ctx.Done():
			select {
			case err := <-silent:
				waiting = err == nil
			case <-time.After(10 * time.Millisecond):
				waiting = false
			}
			if waiting && r.sight.inHand() == 0 {
				b.log.Warn("a bot with nothing in hand does not say that it is done", "version", r.found.Version)
				waiting = false
			}
		}
		cancel()
	}
	b.cleanUp(r)
}

func (b *bot) cleanUp(r *running) {
	if !r.end() {
		b.log.Error("a bot's process cannot be ended", "pid", r.pid())
	}
}
