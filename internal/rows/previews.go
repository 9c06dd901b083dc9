package rows

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Tables of the preview centre. A link in a key is its hash; no row has the link.
const (
	tablePreview     = 0x7e // link 32 → previewRow; nothing → rows 8, bytes of pictures 8
	tablePreviewUsed = 0x7f // used 8, link 32 → nothing
	tablePreviewPic  = 0x80 // picture → link 32
)

var _ preview.Store = (*Store)(nil)

type previewRow struct {
	Host    string      `json:"host,omitempty"`
	Title   string      `json:"title,omitempty"`
	Text    string      `json:"text,omitempty"`
	Site    string      `json:"site,omitempty"`
	Picture *previewPic `json:"picture,omitempty"`
	At      int64       `json:"at"`
	Used    int64       `json:"used"`
}

type previewPic struct {
	ID          string `json:"id"`
	Mime        string `json:"mime"`
	Bytes       int64  `json:"bytes"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Placeholder string `json:"placeholder,omitempty"`
}

func (r previewRow) bytes() int64 {
	if r.Picture == nil {
		return 0
	}
	return r.Picture.Bytes
}

func previewKey(link preview.Key) []byte { return append([]byte{tablePreview}, link[:]...) }

func previewUsedKey(used int64, link []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tablePreviewUsed}, uint64(used)), link...)
}

// Preview fills preview.Store.
func (s *Store) Preview(ctx context.Context, key preview.Key) (*preview.Preview, error) {
	r, err := getRow[previewRow](s.with(ctx), previewKey(key), "preview", "of this link")
	if err != nil {
		return nil, err
	}
	p := &preview.Preview{Key: key, Host: r.Host, Title: r.Title, Text: r.Text, Site: r.Site, At: fromNanos(r.At), Used: fromNanos(r.Used)}
	if r.Picture != nil {
		p.Picture = r.Picture.picture()
	}
	return p, nil
}

func (p *previewPic) picture() *preview.Picture {
	return &preview.Picture{ID: p.ID, Mime: p.Mime, Bytes: p.Bytes, Width: p.Width, Height: p.Height, Placeholder: p.Placeholder}
}

// PreviewPicture fills preview.Store.
func (s *Store) PreviewPicture(ctx context.Context, id string) (*preview.Picture, error) {
	link, found, err := s.get(ctx, rowKey(tablePreviewPic, id))
	if err != nil || !found || id == "" {
		return nil, either(err, protocol.NotFound("picture %.64q", id))
	}
	r, err := getRow[previewRow](s.with(ctx), append([]byte{tablePreview}, link...), "picture", id)
	if err == nil && (r.Picture == nil || r.Picture.ID != id) { // it was replaced between the two reads
		err = protocol.NotFound("picture %s", id)
	}
	if err != nil {
		return nil, err
	}
	return r.Picture.picture(), nil
}

// UsePreview fills preview.Store.
func (s *Store) UsePreview(ctx context.Context, key preview.Key, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		r, err := getRow[previewRow](t, previewKey(key), "preview", "of this link")
		if protocol.Code_NOT_FOUND.Is(err) || err == nil && nanos(at) <= r.Used {
			return nil
		}
		if err != nil {
			return err
		}
		t.delete(previewUsedKey(r.Used, key[:]))
		r.Used = nanos(at)
		t.put(previewUsedKey(r.Used, key[:]), nil)
		return putRow(t, previewKey(key), r)
	})
}

// PutPreview fills preview.Store.
func (s *Store) PutPreview(ctx context.Context, p *preview.Preview, bounds preview.Bounds) (dropped []string, err error) {
	err = s.update(ctx, func(t *tx) error {
		dropped = nil
		var rows, bytes int64
		totals := []byte{tablePreview}
		text, found, err := t.get(totals)
		if err != nil {
			return err
		}
		if found {
			if len(text) != 16 {
				return bad(totals, errShort)
			}
			rows, bytes = int64(binary.BigEndian.Uint64(text)), int64(binary.BigEndian.Uint64(text[8:]))
		}
		drop := func(link []byte) error {
			key := append([]byte{tablePreview}, link...)
			was, err := getRow[previewRow](t, key, "preview", "of a link")
			if protocol.Code_NOT_FOUND.Is(err) {
				return nil
			}
			if err != nil {
				return err
			}
			t.delete(key)
			t.delete(previewUsedKey(was.Used, link))
			if was.Picture != nil {
				t.delete(rowKey(tablePreviewPic, was.Picture.ID))
				dropped = append(dropped, was.Picture.ID)
			}
			rows, bytes = rows-1, bytes-was.bytes()
			return nil
		}
		if err := drop(p.Key[:]); err != nil {
			return err
		}
		r := previewRow{Host: p.Host, Title: p.Title, Text: p.Text, Site: p.Site, At: nanos(p.At), Used: nanos(p.Used)}
		if pic := p.Picture; pic != nil {
			r.Picture = &previewPic{ID: pic.ID, Mime: pic.Mime, Bytes: pic.Bytes, Width: pic.Width, Height: pic.Height, Placeholder: pic.Placeholder}
			t.put(rowKey(tablePreviewPic, pic.ID), p.Key[:])
		}
		rows, bytes = rows+1, bytes+r.bytes()
		err = t.scanPrefix([]byte{tablePreviewUsed}, func(key, _ []byte) error {
			if rows <= int64(bounds.Rows) && bytes <= bounds.Bytes {
				return errEnough
			}
			if len(key) != 1+8+len(p.Key) {
				return bad(key, errShort)
			}
			if link := preview.Key(key[9:]); link != p.Key {
				return drop(link[:])
			}
			return nil
		})
		if err != nil {
			return err
		}
		t.put(previewUsedKey(r.Used, p.Key[:]), nil)
		t.put(totals, binary.BigEndian.AppendUint64(number(rows), uint64(bytes)))
		return putRow(t, previewKey(p.Key), r)
	})
	if err != nil {
		return nil, fmt.Errorf("keep a preview: %w", err)
	}
	return dropped, nil
}
