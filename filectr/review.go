package filectr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Reviewer looks at files before others see them. One is an HTTP service, in package
// review; bots are plugged in here too.
type Reviewer interface {
	// Review says what becomes of a file. An error means that it cannot say now: it is
	// asked again, or the file passes, as is set. The same file may come twice, as after
	// a crash. A file that is to be replaced by what is no picture is held.
	Review(ctx context.Context, r Review) (Decision, error)
}

// Review is one file that is to be looked at.
type Review struct {
	File  *File
	Link  string // opens its contents until Until, without a token; a path where Config.Origin is not set
	Until time.Time
	Try   int // 1 for the first

	Open func(ctx context.Context) (Blob, error) // opens its contents here
}

// Reviews say which files are looked at before others see them.
type Reviews struct {
	Kinds    []Kind        // none: nobody looks at any
	Within   time.Duration // a reviewer has so long for one: 10 s
	WhenDown string        // Hold, the default, or Allow: what becomes of a file whose reviewer cannot say
}

// What becomes of a file while its reviewer cannot say.
const (
	Hold  = "hold"  // it waits, and the reviewer is asked again
	Allow = "allow" // it passes
)

// reviewsAtOnce bounds how many files are with the reviewer.
const reviewsAtOnce = 8

// reviewing is what goes on.
type reviewing struct {
	by   Reviewer
	wake chan struct{}

	mu    sync.Mutex
	under map[protocol.FileID]bool
	ended sync.WaitGroup
}

// UseReviewer has r look at files. It is called before Run; until then those that come wait.
func (c *Center) UseReviewer(r Reviewer) { c.reviewing.by = r }

// begins is the deal that a new file begins with; nil: nobody looks at it.
func (c *Center) begins(f *File) *Deal {
	if f.Owner == "" || !slices.Contains(c.cfg.Reviews.Kinds, f.Kind) {
		return nil
	}
	now := c.now()
	return &Deal{State: Pending, At: now, Due: now}
}

// nudge has the reviews looked through.
func (c *Center) nudge() {
	select {
	case c.reviewing.wake <- struct{}{}:
	default:
	}
}

// review has the reviewer look at what waits, until ctx ends: what came, and what the last
// process did not get an answer for.
func (c *Center) review(ctx context.Context) {
	r := &c.reviewing
	if r.by == nil {
		if err := c.unasked(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("files that wait for a review could not be let pass", "err", err)
		}
		return
	}
	defer r.ended.Wait()
	places := make(chan struct{}, reviewsAtOnce)
	for {
		now := c.now()
		ids, next, err := c.store.Reviews(ctx, now, sweepPage)
		if err != nil && ctx.Err() == nil {
			c.log.Error("files that wait for a review could not be read", "err", err)
		}
		for _, id := range ids {
			if !r.enter(id) {
				continue
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				r.leave(id)
				return
			}
			r.ended.Go(func() {
				err := c.reviewOne(ctx, id)
				<-places
				r.leave(id)
				if err == nil {
					c.nudge() // others may have waited for the place
				} else if ctx.Err() == nil { // it is still due, and not asked about before the next look
					c.log.Error("a file was not reviewed", "file", id, "err", err)
				}
			})
		}
		pause := time.Minute
		if err == nil && !next.IsZero() {
			pause = min(max(next.Sub(now), time.Millisecond), pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// unasked deals with files that wait for a reviewer of an earlier process, while there is
// none now: they pass, or go on waiting, as is set for one that cannot say.
func (c *Center) unasked(ctx context.Context) error {
	for {
		ids, _, err := c.store.Reviews(ctx, c.now().Add(maxBackoff), sweepPage)
		switch {
		case err != nil || len(ids) == 0:
			return err
		case c.cfg.Reviews.WhenDown != Allow:
			c.log.Warn("files wait for a review, and nobody is set to look at them: they are their uploaders' alone until they are decided on", "files", len(ids))
			return nil
		}
		for _, id := range ids {
			f, err := c.store.File(ctx, id)
			if err == nil {
				err = c.decide(ctx, f, Decision{State: Allowed, Reason: "nobody looks at files any more"}, byServer)
			}
			if err != nil && !gone(err) {
				return err
			}
		}
	}
}

func (r *reviewing) enter(id protocol.FileID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under[id] {
		return false
	}
	if r.under == nil {
		r.under = map[protocol.FileID]bool{}
	}
	r.under[id] = true
	return true
}

func (r *reviewing) leave(id protocol.FileID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.under, id)
}

// reviewOne asks for one file. It is nil as well where the file, or its decision, came
// from elsewhere meanwhile.
func (c *Center) reviewOne(ctx context.Context, id protocol.FileID) error {
	f, err := c.store.File(ctx, id)
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	if f.state() != Pending {
		return nil
	}
	d, err := c.askReviewer(ctx, f)
	said := err == nil
	if said {
		if err = c.decide(ctx, f, d, byReviewer); d.State == Replaced && noPicture(err) { // it is not to be seen as it is
			c.log.Warn("the reviewer of files replaces one by what is no such picture", "file", id, "err", err)
			err = c.decide(ctx, f, Decision{State: Held, Reason: d.Reason}, byReviewer)
		}
	}
	switch {
	case err == nil, gone(err):
		return nil
	case ctx.Err() != nil: // the next process asks again
		return ctx.Err()
	}
	c.log.Warn("the reviewer of files cannot say", "file", id, "try", f.Deal.Tries+1, "err", err)
	if !said && c.cfg.Reviews.WhenDown == Allow {
		err = c.decide(ctx, f, Decision{State: Allowed, Reason: "the reviewer could not say"}, byServer)
	} else {
		later := *f.Deal
		later.Tries++
		later.Due = c.now().Add(backoff(later.Tries))
		err = c.store.PutDeal(ctx, id, &later, Pending)
	}
	if gone(err) {
		return nil
	}
	return err
}

// noPicture says whether what was to stand in a file's place is the reason of an error.
func noPicture(err error) bool {
	return protocol.Code_UNSUPPORTED.Is(err) || protocol.Code_TOO_LARGE.Is(err) || protocol.Code_BAD_REQUEST.Is(err)
}

const maxBackoff = 5 * time.Minute

// backoff is how long a reviewer is left alone after so many tries: 1 s, 2 s, 4 s, up to maxBackoff.
func backoff(tries int) time.Duration {
	return min(time.Second<<min(tries-1, 9), maxBackoff)
}

func (c *Center) askReviewer(ctx context.Context, f *File) (d Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the reviewer panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Reviews.Within)
	defer cancel()
	link, until := c.reviewLink(f)
	d, err = c.reviewing.by.Review(ctx, Review{File: f, Link: link, Until: until, Try: f.Deal.Tries + 1, Open: func(ctx context.Context) (Blob, error) {
		return c.blobs.Open(ctx, f.Sum)
	}})
	if err == nil && !slices.Contains([]State{Allowed, Rejected, Held, Replaced}, d.State) {
		err = errors.New("the reviewer said nothing that is known")
	}
	return d, err
}

// reviewerLink is who a reviewer's links are for: no user's id has a zero byte.
const reviewerLink = "\x00reviewer"

// reviewLink is a link to a file as it was uploaded, for who decides on it.
func (c *Center) reviewLink(f *File) (string, time.Time) {
	until := c.now().Add(c.cfg.LinkLife).Truncate(time.Second)
	return fmt.Sprintf("%s/api/v2/files/%s/link/%s", c.cfg.Origin, f.ID, c.seal(f.ID, "", reviewerLink, until)), until.UTC()
}
