package preview

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/troupe-im/troupe/filectr/picture"
	"github.com/troupe-im/troupe/internal/egress"
)

const (
	maxPage    = 1 << 20 // bytes of a page that are read: its head stands at its begin
	maxPicture = 4 << 20 // of a picture as it comes
	maxKept    = 1 << 20 // of a picture as it is kept
)

// errNothing says that a page is there, and nothing in it is for a preview.
var errNothing = errors.New("the page says nothing of itself")

// ask finds out what a link leads to. The picture's file is there when it returns.
func (c *Center) ask(ctx context.Context, link string) (*Preview, error) {
	a, err := c.web.Do(ctx, egress.Question{URL: link, Header: http.Header{
		"Accept": {"text/html,application/xhtml+xml;q=0.9,image/jpeg,image/png,image/webp,image/gif;q=0.8,*/*;q=0.1"},
	}})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", a.Status)
	}
	p := &Preview{Host: a.URL.Hostname()}
	said := a.Header.Get("Content-Type")
	typ, _, err := mime.ParseMediaType(said)
	switch {
	case err == nil && strings.HasPrefix(typ, "image/"):
		body, cut, err := a.Read(maxPicture)
		if err != nil || cut {
			return nil, errors.Join(err, errNothing)
		}
		if p.Picture, err = c.keep(ctx, body); err != nil {
			return nil, err
		}
		return p, nil
	case typ != "text/html" && typ != "application/xhtml+xml" && said != "":
		return nil, fmt.Errorf("it is %.80q", typ)
	}
	body, _, err := a.Read(maxPage)
	if err != nil {
		return nil, err
	}
	page := read(body, said, a.URL)
	p.Title, p.Text, p.Site = page.title, page.text, page.site
	if page.picture != "" {
		if p.Picture, err = c.picture(ctx, page.picture); err != nil {
			c.log.Debug("a link's picture is not shown", "err", err)
		}
	}
	if p.Title == "" && p.Text == "" && p.Picture == nil {
		return nil, errNothing
	}
	return p, nil
}

// picture asks for the picture of a page.
func (c *Center) picture(ctx context.Context, link string) (*Picture, error) {
	a, err := c.web.Do(ctx, egress.Question{URL: link, Header: http.Header{"Accept": {"image/jpeg,image/png,image/webp,image/gif"}}})
	if err != nil {
		return nil, err
	}
	body, cut, err := a.Read(maxPicture)
	switch {
	case err != nil:
		return nil, err
	case cut:
		return nil, egress.ErrTooLong
	case a.Status != http.StatusOK:
		return nil, fmt.Errorf("it answered %d", a.Status)
	}
	return c.keep(ctx, body)
}

var words = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// keep has a child make a small picture of one, and puts it into the directory under a
// name that nobody can guess.
func (c *Center) keep(ctx context.Context, body []byte) (*Picture, error) {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	p := &Picture{ID: words.EncodeToString(raw[:])}
	in, err := os.CreateTemp(c.cfg.Data, "in-")
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	defer os.Remove(in.Name())
	defer in.Close()
	if _, err := bytes.NewReader(body).WriteTo(in); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	select { // what waits here is on the disk, and no more in memory
	case c.shrink <- struct{}{}:
		defer func() { <-c.shrink }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out, err := os.OpenFile(c.file(p.ID), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	r, err := picture.Fit(ctx, in, out)
	if err == nil {
		err = out.Sync()
	}
	if err == nil {
		var info os.FileInfo
		if info, err = out.Stat(); err == nil {
			p.Bytes = info.Size()
		}
	}
	if err == nil && p.Bytes > maxKept {
		err = egress.ErrTooLong
	}
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(c.file(p.ID))
		return nil, err
	}
	p.Mime, p.Width, p.Height, p.Placeholder = r.Mime, r.Width, r.Height, r.Placeholder
	return p, nil
}
