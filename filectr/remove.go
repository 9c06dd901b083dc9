package filectr

import (
	"context"
	"errors"
	"fmt"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Remove ends a file that its uploader does not want any more. NOT_FOUND: who may not
// know of it; DENIED: it is another one's; CONFLICT: a message names it.
func (c *Center) Remove(ctx context.Context, who *protocol.Identity, id protocol.FileID) error {
	if !protocol.IsFileID(id) {
		return protocol.NotFound("file %.64q", id)
	}
	f, err := c.store.File(ctx, id)
	if err != nil {
		return err
	}
	if who.User == "" || f.Owner != who.User {
		if _, err := c.Get(ctx, who, id); err != nil {
			return err
		}
		return protocol.Denied("file %s is removed by who uploaded it, and by nobody else", id)
	}
	err = c.remove(ctx, f)
	if errors.Is(err, ErrInUse) {
		return protocol.Conflict("a message names file %s: recall it, and the file goes with it", id)
	}
	return err
}

// remove ends a file, gives its room back and deletes what no other file has of it;
// while a backup runs that is left to the next sweep. ErrInUse.
func (c *Center) remove(ctx context.Context, f *File) error {
	if err := c.store.RemoveFile(ctx, f.ID, c.now()); err != nil {
		return err
	}
	if !c.sweeping.TryLock() {
		return nil
	}
	defer c.sweeping.Unlock()
	for _, sum := range f.Sums() {
		if err := c.discard(context.WithoutCancel(ctx), sum); err != nil {
			c.log.Warn("a content is left to the next sweep", "content", sum, "err", err)
			return nil
		}
	}
	return nil
}

// ownedPage is how many files of a user are read at a time.
const ownedPage = 200

// Owned calls each with all files that user uploaded and that are kept, in order of
// their ids.
func (c *Center) Owned(ctx context.Context, user protocol.UserID, each func(*File) error) error {
	for after := ""; ; {
		files, next, err := c.ownedFrom(ctx, user, after)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := each(f); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// ownedFrom is one page of Owned; next "" is the last one.
func (c *Center) ownedFrom(ctx context.Context, user protocol.UserID, after protocol.FileID) (files []*File, next protocol.FileID, err error) {
	if files, err = c.store.Files(ctx, user, after, ownedPage); err != nil {
		return nil, "", fmt.Errorf("filectr: files of %s: %w", user, err)
	}
	if len(files) > 0 {
		next = files[len(files)-1].ID
	}
	return files, next, ctx.Err()
}

// Contents opens what a file has in it, whoever asks. ErrNoBlob: it is lost.
func (c *Center) Contents(ctx context.Context, f *File) (Blob, error) {
	return c.blobs.Open(ctx, f.Sum)
}

// View is a file as REST shows it, to be written as JSON.
func View(f *File) any { return viewOf(f) }

// Abandon ends what user has uploaded and no entry names, and its uploads under way.
// What entries name stays with them. It may be called again.
func (c *Center) Abandon(ctx context.Context, user protocol.UserID) error {
	left, err := c.store.Reservations(ctx)
	if err != nil {
		return fmt.Errorf("filectr: uploads of %s: %w", user, err)
	}
	for _, r := range left {
		switch {
		case r.User != user:
		case r.Resumable:
			c.end(r.ID)
		default: // what comes to its end finds no room to be kept in
			if err := c.store.Release(ctx, r.ID); err != nil {
				return fmt.Errorf("filectr: uploads of %s: %w", user, err)
			}
		}
	}
	return c.Owned(ctx, user, func(f *File) error {
		err := c.store.RemoveFile(ctx, f.ID, c.now())
		if errors.Is(err, ErrInUse) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("filectr: remove %s: %w", f.ID, err)
		}
		c.sweeping.Lock() // not while a backup is made that has the row
		defer c.sweeping.Unlock()
		for _, sum := range f.Sums() {
			if err := c.discard(ctx, sum); err != nil {
				return fmt.Errorf("filectr: remove %s: %w", f.ID, err)
			}
		}
		return nil
	})
}
