package filectr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/troupe-im/troupe/filectr/child"
	"github.com/troupe-im/troupe/filectr/picture"
	"github.com/troupe-im/troupe/filectr/scrub"
	"github.com/troupe-im/troupe/filectr/sound"
	"github.com/troupe-im/troupe/internal/protocol"
)

// look finds out what a file is besides its type, fills it in, and gives the contents
// that are to be kept. Contents that are given with an error are to be removed too.
func (c *Center) look(ctx context.Context, f *File, head []byte, path string) ([]part, error) {
	content := sniff(head)
	switch {
	case content == "image/heic", content == "image/avif":
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "HEIC and AVIF pictures are not taken, as what they say of where they were taken cannot be removed; send JPEG")
	case kindOf(content) == Image:
		return c.picture(ctx, f, path)
	case f.Kind == Voice:
		if err := c.sound(ctx, f, path); err != nil {
			return nil, err
		}
	case f.Kind == Video && c.tools != nil:
		return c.video(ctx, f, path)
	}
	return []part{{f.Sum, path}}, nil
}

// scrub takes out of a video or a voice message what it says besides, under whatever name
// it goes. It is done in the draft itself; broken off, it may be done again.
func (c *Center) scrub(ctx context.Context, f *File, head []byte, path string) error {
	content := sniff(head)
	if !scrub.Known(content) {
		return nil
	}
	draft, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	defer draft.Close()
	end, err := c.decoding.take(ctx, f.Owner) // one per core, as files that mean harm take seconds
	if err != nil {
		return err
	}
	changed, err := scrub.Clean(draft, f.Size, content)
	end()
	var no *scrub.Refused
	if errors.As(err, &no) {
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "%s", no.Reason)
	}
	if err != nil || !changed {
		return err
	}
	f.Sum, f.Size, err = sumOf(draft)
	return err
}

// isPacked says whether f, at path, is what its begin says, where that can only be
// seen further on: false is a package that is none.
func (c *Center) isPacked(f *File, path string) (bool, error) {
	if f.Kind != Package {
		return true, nil
	}
	in, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("filectr: %w", err)
	}
	defer in.Close()
	return packed(in, f.Size, f.Mime), nil
}

// sound measures a voice message. What cannot be measured is kept all the same, and
// nothing is said of how long it is.
func (c *Center) sound(ctx context.Context, f *File, path string) error {
	end, err := c.decoding.take(ctx, f.Owner)
	if err != nil {
		return err
	}
	defer end()
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	defer in.Close()
	var r sound.Result
	if f.Mime == "audio/wav" || f.Mime == "audio/ogg" {
		r, err = sound.Look(ctx, in)
		var no *child.Refused
		if err != nil && !errors.As(err, &no) {
			return err
		}
	}
	if r.Duration == 0 && c.tools != nil {
		if r, err = c.tools.Sound(ctx, path, f.Mime); err != nil {
			c.log.Debug("a voice message was not measured", "file", f.ID, "err", err)
		}
	}
	f.Duration, f.Peaks = r.Duration, r.Peaks
	return nil
}

// video finds out how long a video is and how it begins. What cannot be read is kept
// all the same, and nothing is said of it.
func (c *Center) video(ctx context.Context, f *File, path string) ([]part, error) {
	poster := c.draft(f.ID + ".poster")
	defer os.Remove(poster)
	duration, err := func() (time.Duration, error) {
		end, err := c.decoding.take(ctx, f.Owner)
		if err != nil {
			return 0, err
		}
		defer end()
		return c.tools.Video(ctx, path, f.Mime, poster)
	}()
	parts := []part{{f.Sum, path}}
	if err != nil {
		c.log.Debug("a video was not looked at", "file", f.ID, "err", err)
		return parts, nil
	}
	f.Duration = duration
	still := &File{ID: f.ID, Owner: f.Owner, Kind: Image, Mime: "image/jpeg", Name: "poster.jpg"}
	made, err := c.picture(ctx, still, poster)
	if err != nil {
		c.log.Debug("a video's first picture was not looked at", "file", f.ID, "err", err)
		drop(made, len(made))
		return parts, nil
	}
	f.Width, f.Height, f.Placeholder = still.Width, still.Height, still.Placeholder
	f.Thumbs = still.Thumbs
	if len(f.Thumbs) == 2 { // larger than both: the picture itself is not needed
		return append(parts, drop(made, 1)...), nil
	}
	size := Large
	if len(f.Thumbs) == 0 {
		size = Small
	}
	f.Thumbs = append(f.Thumbs, Thumb{Size: size, Sum: still.Sum, Mime: still.Mime, Bytes: still.Size, Width: still.Width, Height: still.Height})
	return append(parts, made...), nil
}

// outs opens the drafts into which a child writes what it makes. Those that are given
// with an error are to be removed too.
func (c *Center) outs(id string, names ...string) (outs [3]*os.File, parts []part, err error) {
	for i, name := range names {
		p := c.draft(id + "." + name)
		parts = append(parts, part{path: p})
		if outs[i], err = os.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return outs, parts, fmt.Errorf("filectr: %w", err)
		}
	}
	return outs, parts, nil
}

func closeAll(files [3]*os.File) {
	for _, f := range files {
		f.Close() // of none it is an error, which nobody needs
	}
}

// picture keeps a picture without what it says besides, and smaller ones. One that
// goes by another name is cleaned as well, though it is only saved.
func (c *Center) picture(ctx context.Context, f *File, from string) (parts []part, err error) {
	end, err := c.decoding.take(ctx, f.Owner) // one per core: each takes memory and time
	if err != nil {
		return nil, err
	}
	defer end()
	in, err := os.Open(from)
	if err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	defer in.Close()
	outs, parts, err := c.outs(f.ID, "clean", Small, Large)
	defer closeAll(outs)
	if err != nil {
		return parts, err
	}
	r, err := picture.Look(ctx, in, outs[0], outs[1], outs[2])
	var no *child.Refused
	switch {
	case errors.As(err, &no) && f.Kind != Image:
		parts = append(parts, part{f.Sum, from}) // not one after all
		return drop(parts, 3), nil
	case errors.As(err, &no) && no.TooLarge:
		return parts, protocol.TooLarge("%s", no.Reason)
	case errors.As(err, &no):
		return parts, protocol.Errorf(protocol.Code_UNSUPPORTED, "%s", no.Reason)
	case err != nil:
		return parts, err
	}
	var sizes [3]int64
	for i := range parts {
		if parts[i].sum, sizes[i], err = sumOf(outs[i]); err != nil {
			return parts, err
		}
	}
	f.Sum, f.Size = parts[0].sum, sizes[0]
	if f.Kind != Image {
		return append(drop(parts[1:], 2), parts[0]), nil
	}
	if r.Mime != f.Mime { // turned, and written anew in another format
		f.Name = strings.TrimSuffix(f.Name, path.Ext(f.Name)) + map[string]string{"image/jpeg": ".jpg", "image/png": ".png"}[r.Mime]
		f.Mime = r.Mime
	}
	f.Width, f.Height, f.Placeholder = r.Width, r.Height, r.Placeholder
	if r.Frames > 1 {
		f.Frames = r.Frames
	}
	kept := parts[:1]
	for i, t := range []Thumb{{Size: Small, Mime: r.SmallMime, Width: r.SmallWidth, Height: r.SmallHeight}, {Size: Large, Mime: r.LargeMime, Width: r.LargeWidth, Height: r.LargeHeight}} {
		p := parts[1+i]
		if t.Mime == "" {
			drop([]part{p}, 1)
			continue
		}
		t.Sum, t.Bytes = p.sum, sizes[1+i]
		f.Thumbs = append(f.Thumbs, t)
		kept = append(kept, p)
	}
	return kept, nil
}

// drop removes the first n drafts and gives the others.
func drop(parts []part, n int) []part {
	for _, p := range parts[:n] {
		os.Remove(p.path) // what stays is removed at the next start
	}
	return parts[n:]
}

// sumOf reads what was written to f, and syncs it.
func sumOf(f *os.File) (sum Sum, n int64, err error) {
	if _, err = f.Seek(0, io.SeekStart); err == nil {
		hash := sha256.New()
		if n, err = io.Copy(hash, f); err == nil {
			sum, err = Sum(hash.Sum(nil)), f.Sync()
		}
	}
	if err != nil {
		err = fmt.Errorf("filectr: %w", err)
	}
	return sum, n, err
}
