package filectr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Upload is what is said of a file before its bytes come.
type Upload struct {
	Owner protocol.UserID // "": the installation
	App   string          // by which the owner came, "": none
	Guest bool            // the owner is an anonymous visitor
	Name  string
	Size  int64  // bytes at most; below 0: not known
	Sum   []byte // SHA-256 that the bytes are said to have; nil: not said
}

// Take keeps what comes from r as a new file: room is reserved before the first
// byte is read, and given back when anything fails. QUOTA, TOO_LARGE, BAD_REQUEST
// (another sum, cut off), UNSUPPORTED, BUSY; errors of r come back as they are.
func (c *Center) Take(ctx context.Context, u Upload, r io.Reader) (*File, error) {
	leave, err := c.uploads.take(u.Owner, u.Guest)
	if err != nil {
		return nil, err
	}
	defer leave()
	res, err := c.reserve(ctx, u)
	if err != nil {
		return nil, err
	}
	path := c.draft(res.ID)
	f, err := c.receive(ctx, res, u, path, r)
	if err != nil {
		c.giveBack(res.ID, path)
		return nil, err
	}
	return f, nil
}

func (c *Center) draft(id string) string { return filepath.Join(c.cfg.Data, draftsDir, id) }

// giveBack ends an upload that came to nothing.
func (c *Center) giveBack(id, path string) {
	err := c.store.Release(context.Background(), id)
	if e := os.Remove(path); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	if err != nil {
		c.log.Error("an upload's room could not be given back before the next start", "upload", id, "err", err)
	}
}

// reserve takes room for an upload; where its size is not known, as much as there is.
func (c *Center) reserve(ctx context.Context, u Upload) (*Reservation, error) {
	r := &Reservation{ID: protocol.NewFileID(), User: u.Owner, App: u.App, Guest: u.Guest, Bytes: u.Size, Node: c.cfg.Node, Created: c.now()}
	most := c.largest(u.App)
	if r.Bytes > most.bytes {
		return nil, most.tooLarge()
	}
	if r.Bytes < 0 {
		left, err := c.left(ctx, r)
		if err != nil {
			return nil, err
		}
		r.Bytes = max(1, min(most.bytes, left))
	}
	return r, c.reserveRoom(ctx, r)
}

// left is how much room there is for who reserves.
func (c *Center) left(ctx context.Context, r *Reservation) (int64, error) {
	q := c.quota(r.App, r.Guest)
	all, err := c.store.Used(ctx, "")
	left := q.All - all
	if err == nil && r.User != "" {
		var own int64
		own, err = c.store.Used(ctx, r.User)
		left = min(left, q.User-own)
	}
	for _, of := range []struct {
		quota  int64
		guests bool
	}{{q.App, false}, {q.Guests, true}} {
		if err == nil && of.quota > 0 {
			var used int64
			used, err = c.store.UsedIn(ctx, r.App, of.guests)
			left = min(left, of.quota-used)
		}
	}
	return left, err
}

func (c *Center) reserveRoom(ctx context.Context, r *Reservation) error {
	if left, err := freeBytes(c.cfg.Data); err == nil && left-r.Bytes < c.cfg.MinFree {
		return protocol.Errorf(protocol.Code_BUSY, "the disk is full")
	}
	q := c.quota(r.App, r.Guest)
	return noRoom(c.store.Reserve(ctx, r, q), q)
}

// noRoom is a store's error as clients see it.
func noRoom(err error, q Quota) error {
	var no ErrQuota
	switch {
	case !errors.As(err, &no):
		return err
	case no.User:
		return protocol.Errorf(protocol.Code_QUOTA, "your files may have %d bytes together, and this one would be more", q.User)
	case no.App:
		return protocol.Errorf(protocol.Code_QUOTA, "the files of this application's users may have %d bytes together, and this one would be more", q.App)
	case no.Guests:
		return protocol.Errorf(protocol.Code_QUOTA, "the files of this application's visitors may have %d bytes together, and this one would be more", q.Guests)
	}
	return protocol.Errorf(protocol.Code_QUOTA, "no room is left for files")
}

// receive writes the bytes to path and makes a file of them.
func (c *Center) receive(ctx context.Context, res *Reservation, u Upload, path string, r io.Reader) (*File, error) {
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	defer out.Close()
	hash := sha256.New()
	kept := &limited{w: io.MultiWriter(out, hash), limit: func(head []byte) (bound, error) { return c.boundOf(u.App, head, u.Name) }, room: res.Bytes}
	_, err = io.CopyBuffer(struct{ io.Writer }{kept}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	if err == nil {
		err = kept.flush()
	}
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		return nil, err
	}
	sum := Sum(hash.Sum(nil))
	if u.Sum != nil && string(u.Sum) != string(sum[:]) {
		return nil, protocol.BadRequest("the bytes that came have the SHA-256 %s, which is not the one that was said", sum)
	}
	return c.keep(ctx, &arrived{id: res.ID, owner: u.Owner, app: u.App, guest: u.Guest, name: u.Name, path: path, sum: sum, size: kept.n, head: kept.head})
}

// limited writes to w as long as the file is not larger than its kind may be, which
// is known by its first bytes, nor than the room that was reserved.
type limited struct {
	w     io.Writer
	limit func(head []byte) (bound, error)
	room  int64
	head  []byte // the first bytes, up to sniffed
	asked bool
	most  bound // what limit said, when asked
	n     int64
}

func (l *limited) Write(p []byte) (int, error) {
	if room := sniffed - len(l.head); room > 0 {
		l.head = append(l.head, p[:min(room, len(p))]...)
	}
	if !l.asked && len(l.head) == sniffed {
		if err := l.flush(); err != nil {
			return 0, err
		}
	}
	n, err := l.w.Write(p)
	l.n += int64(n)
	switch {
	case err != nil:
		return n, err
	case l.asked && l.n > l.most.bytes:
		return n, l.most.tooLarge()
	case l.n > l.room:
		return n, protocol.BadRequest("more bytes came than were announced")
	}
	return n, nil
}

// flush asks for the limit at the latest when all is there.
func (l *limited) flush() (err error) {
	if !l.asked {
		l.asked = true
		l.most, err = l.limit(l.head)
	}
	if err == nil && l.n > l.most.bytes {
		err = l.most.tooLarge()
	}
	return err
}

// arrived is a file whose bytes are all there.
type arrived struct {
	id    protocol.FileID
	owner protocol.UserID
	app   string
	guest bool
	name  string // as the client says it
	path  string // of a draft, synced
	sum   Sum    // of what is at path
	size  int64
	head  []byte // the first bytes, sniffed of them where there are as many
}

// keep makes a file of what has arrived. The draft is gone when it returns nil.
func (c *Center) keep(ctx context.Context, a *arrived) (*File, error) {
	f := &File{ID: a.id, Owner: a.owner, App: a.app, Guest: a.guest, Name: cleanName(a.name), Size: a.size, Sum: a.sum, Created: c.now()}
	f.Mime, f.Kind = typeOf(a.head, f.Name)
	if is, err := c.isPacked(f, a.path); err != nil {
		return nil, err
	} else if !is {
		f.Mime, f.Kind = typeOf(a.head, "")
	}
	if f.Name == "" {
		f.Name = string(f.Kind)
	}
	switch most, err := c.bound(a.app, f.Kind, f.Mime); {
	case err != nil:
		return nil, err
	case a.size > most.bytes:
		return nil, most.tooLarge()
	}
	if err := c.scan(ctx, a.path); err != nil {
		return nil, err
	}
	if err := c.scrub(ctx, f, a.head, a.path); err != nil {
		return nil, err
	}
	parts, err := c.look(ctx, f, a.head, a.path)
	defer func() {
		for _, p := range parts {
			if p.path != a.path {
				os.Remove(p.path)
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	sums := f.Sums()
	if err := c.claim(ctx, sums, f.ID, parts); err != nil {
		return nil, err
	}
	q := c.quota(a.app, a.guest)
	f.Deal = c.begins(f)
	if err := c.claimed(ctx, c.store.AddFile(ctx, f, q), sums, f.ID); err != nil {
		return nil, noRoom(err, q)
	}
	if f.Deal != nil {
		c.nudge()
	}
	if err := os.Remove(a.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("a draft is left behind until the next start", "path", a.path, "err", err)
	}
	return f, nil
}

// part is one content of a file, waiting to be kept.
type part struct {
	sum  Sum
	path string
}
