package filectr

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Contents are shared: by files that are alike, and by nodes, each of which may remove what no
// file has while another is about to keep the very same. No two of them can lock what lies in
// a directory or a bucket, so the store decides, which changes rows in one step:
//
//   - Who keeps a content claims it, puts it in its place, and adds its row, which fails if
//     the claim is not there any more.
//   - Who removes one sets it aside, has the store condemn it, which fails if a row or a claim
//     is there, and drops what was set aside, or returns it to its place.
//
// A content that was put in its place before it was set aside was claimed before, which Condemn
// sees, or whose claim it has ended, which AddFile sees; one that was put there afterwards is
// another copy, which nobody drops. It does not matter how long anybody stood still in between.
// Whoever dies in the middle leaves a copy aside, which is read as well, and settled an hour later.

// claimKept is how long a content may be on its way to its row, and a copy aside to its end.
const claimKept = time.Hour

// claimsSince is what claims are good since.
func (c *Center) claimsSince() time.Time { return c.now().Add(time.Nanosecond - claimKept) }

// claim claims contents for a file or an avatar, and keeps those of parts.
func (c *Center) claim(ctx context.Context, sums []Sum, by string, parts []part) error {
	if err := c.store.Claim(ctx, sums, by, c.now()); err != nil {
		return err
	}
	for _, p := range parts {
		if err := c.blobs.Put(ctx, p.sum, p.path); err != nil {
			return err
		}
	}
	return nil
}

// claimed is the error of who added a row. Where it came too late, what it has put is claimed
// anew, so that a sweep finds it: BUSY.
func (c *Center) claimed(ctx context.Context, err error, sums []Sum, by string) error {
	if !errors.Is(err, ErrUnclaimed) {
		return err
	}
	if err := c.store.Claim(ctx, sums, by, c.now()); err != nil {
		return err
	}
	return protocol.Errorf(protocol.Code_BUSY, "keeping it took too long, send it again")
}

// discard removes a content that no file has, unless one has got it meanwhile.
func (c *Center) discard(ctx context.Context, sum Sum) error {
	since := c.claimsSince()
	if has, err := c.store.HasContent(ctx, sum); err != nil {
		return err
	} else if has {
		return c.store.Unclaim(ctx, sum, since)
	}
	aside, err := c.blobs.SetAside(ctx, sum)
	if none := errors.Is(err, ErrNoBlob); err != nil && !none {
		return err
	} else if none {
		_, err = c.store.Condemn(ctx, sum, since)
		return err
	}
	nobodys, err := c.store.Condemn(ctx, sum, since)
	switch {
	case err != nil:
		return err
	case nobodys:
		return c.blobs.Drop(ctx, aside)
	}
	return c.blobs.Return(ctx, aside)
}

// settle ends copies that somebody has set aside and left there.
func (c *Center) settle(ctx context.Context) error {
	left, err := c.blobs.Asides(ctx, c.claimsSince())
	if err != nil {
		return err
	}
	for _, aside := range left {
		wanted, err := c.store.Wanted(ctx, aside.Sum)
		if err == nil && wanted {
			err = c.blobs.Return(ctx, aside)
		} else if err == nil {
			err = c.blobs.Drop(ctx, aside)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
