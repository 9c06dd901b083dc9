package filectr

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// resumableDir, below Config.Data, has uploads that are resumed, also by the next
// process: ID is the bytes that came, ID.json what was said of them.
const resumableDir = "resumable"

// resumable is an upload in parts. Its id is the file's later.
type resumable struct {
	ID    string          `json:"-"`
	Owner protocol.UserID `json:"owner"`
	App   string          `json:"app,omitempty"`
	Guest bool            `json:"guest,omitempty"`
	Name  string          `json:"name"`
	Size  int64           `json:"size"`
	Sum   []byte          `json:"sum,omitempty"` // SHA-256 that all of it is said to have

	offset int64
	since  time.Time // of the last byte
	done   bool      // it is a file already
}

func (c *Center) resumable(name string) string {
	return filepath.Join(cmp.Or(c.cfg.Shared, c.cfg.Data), resumableDir, name)
}

// begin takes room for an upload in parts, and notes what is said of it. QUOTA,
// TOO_LARGE, BUSY.
func (c *Center) begin(ctx context.Context, u *resumable) error {
	r := &Reservation{ID: protocol.NewFileID(), User: u.Owner, App: u.App, Guest: u.Guest, Bytes: u.Size, Resumable: true, Node: c.cfg.Node, Created: c.now()}
	if most := c.largest(u.App); u.Size > most.bytes {
		return most.tooLarge()
	}
	if err := c.begun.add(u.Owner, r.ID, unfinishedMost); err != nil {
		return err
	}
	if err := c.reserveRoom(ctx, r); err != nil {
		c.begun.remove(r.ID)
		return err
	}
	u.ID, u.since = r.ID, c.now()
	if err := c.note(u); err != nil {
		c.end(u.ID)
		return err
	}
	return nil
}

// note writes what is said of an upload, durably.
func (c *Center) note(u *resumable) error {
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{u.ID, nil}, {u.ID + ".json", text}} {
		f, err := os.OpenFile(c.resumable(file.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("filectr: %w", err)
		}
		_, err = f.Write(file.text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("filectr: %w", err)
		}
	}
	return syncDir(c.resumable(""))
}

// end removes an upload in parts and gives its room back, unless a file has taken it.
func (c *Center) end(id string) {
	err := c.store.Release(context.Background(), id)
	for _, name := range []string{id, id + ".part", id + ".json", id + lockExt, id + wantExt} {
		if e := os.Remove(c.resumable(name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	c.begun.remove(id)
	if err != nil {
		c.log.Error("an upload could not be removed before the next start", "upload", id, "err", err)
	}
}

// find gives user's upload as far as it has come, also when it is a file by now. NOT_FOUND.
func (c *Center) find(ctx context.Context, user protocol.UserID, id string) (*resumable, error) {
	no := protocol.NotFound("upload %.64q", id)
	if !protocol.IsFileID(id) {
		return nil, no
	}
	u, err := c.read(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err := c.store.File(ctx, id)
		if err != nil || f.Owner != user {
			return nil, either(err, no)
		}
		return &resumable{ID: id, Owner: user, Name: f.Name, Size: f.Size, offset: f.Size, done: true}, nil
	case err != nil:
		return nil, err
	case u.Owner != user:
		return nil, no
	}
	return u, nil
}

func either(err, no error) error {
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return err
	}
	return no
}

func (c *Center) read(id string) (*resumable, error) {
	text, err := os.ReadFile(c.resumable(id + ".json"))
	if err != nil {
		return nil, err
	}
	u := &resumable{ID: id}
	if err := json.Unmarshal(text, u); err != nil {
		return nil, fmt.Errorf("filectr: upload %s: %w", id, err)
	}
	info, err := os.Stat(c.resumable(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		u.offset, u.since = info.Size(), info.ModTime()
	}
	return u, nil
}

// expires is when an upload ends to which nothing comes any more.
func (c *Center) expires(u *resumable) time.Time { return u.since.Add(c.cfg.Unsent) }

// write appends what comes from r at u's offset, durably, and gives how many bytes
// that are. With a checksum it is all or nothing.
func (c *Center) write(u *resumable, r io.Reader, check *checksum) (n int64, err error) {
	if u.offset == 0 {
		r = &early{r: r, c: c, u: u}
	}
	to := u.ID
	if check != nil {
		to += ".part"
		defer os.Remove(c.resumable(to))
		r = io.TeeReader(r, check.hash)
	}
	f, err := os.OpenFile(c.resumable(to), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("filectr: %w", err)
	}
	if check == nil {
		_, err = f.Seek(u.offset, io.SeekStart)
	}
	if err == nil {
		n, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if check == nil || err != nil {
		return n, err
	}
	if !check.good() {
		return 0, errChecksum
	}
	part, err := os.Open(c.resumable(to))
	if err != nil {
		return 0, fmt.Errorf("filectr: %w", err)
	}
	defer part.Close()
	return c.write(&resumable{ID: u.ID, Owner: u.Owner, App: u.App, Guest: u.Guest, Name: u.Name, Size: u.Size, offset: u.offset}, part, nil)
}

// errChecksum says that a part has another checksum than was said; nothing of it is kept.
var errChecksum = errors.New("the checksum is another one")

// early looks at an upload's first bytes as they come, so that what is too large for
// its kind is refused at once.
type early struct {
	r    io.Reader
	c    *Center
	u    *resumable
	head []byte
	done bool
}

func (e *early) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if e.done {
		return n, err
	}
	e.head = append(e.head, b[:min(n, sniffed-len(e.head))]...)
	if len(e.head) < sniffed && err == nil {
		return n, err
	}
	e.done = true
	if len(e.head) < sniffed { // all of it is here: keep looks
		return n, err
	}
	switch most, no := e.c.boundOf(e.u.App, e.head, e.u.Name); {
	case no != nil:
		return n, no
	case e.u.Size > most.bytes:
		return n, most.tooLarge()
	}
	return n, err
}

// finish makes a file of an upload that is complete. Where it cannot become one the
// upload is ended; errors that may pass leave it as it is.
func (c *Center) finish(ctx context.Context, u *resumable) error {
	err := c.whole(ctx, u)
	switch code := protocol.AsError(err).Code; {
	case err == nil:
		c.end(u.ID)
	case code != protocol.Code_INTERNAL && code != protocol.Code_BUSY:
		c.end(u.ID)
	}
	return err
}

func (c *Center) whole(ctx context.Context, u *resumable) error {
	leave, err := c.uploads.wait(ctx, u.Owner, u.Guest)
	if err != nil {
		return err
	}
	defer leave()
	path := c.resumable(u.ID)
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	head := make([]byte, sniffed)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fmt.Errorf("filectr: %w", err)
	}
	hash.Write(head[:n])
	rest, err := io.CopyBuffer(hash, struct{ io.Reader }{f}, make([]byte, 64<<10))
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	sum := Sum(hash.Sum(nil))
	if len(u.Sum) > 0 && string(u.Sum) != string(sum[:]) {
		return protocol.BadRequest("the bytes that came have the SHA-256 %s, which is not the one that was said", sum)
	}
	if len(u.Sum) > 0 { // from here on the file may be cleaned in its place, and not be what it was
		if err := c.checked(u); err != nil {
			return err
		}
	}
	_, err = c.keep(ctx, &arrived{id: u.ID, owner: u.Owner, app: u.App, guest: u.Guest, name: u.Name, path: path, sum: sum, size: int64(n) + rest, head: head[:n]})
	return err
}

// checked notes that an upload has the checksum it was said to have, so that it is not
// asked for again after a crash.
func (c *Center) checked(u *resumable) error {
	u.Sum = nil
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	draft := c.resumable(u.ID + ".part") // which a start removes
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(draft, c.resumable(u.ID+".json"))
	}
	if err == nil {
		err = syncDir(c.resumable(""))
	}
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	return nil
}

// resume looks at the uploads in parts that the last process left: those that were
// complete become files, those without a reservation end.
func (c *Center) resume(reserved map[string]bool) error {
	if err := os.MkdirAll(c.resumable(""), 0o700); err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	entries, err := os.ReadDir(c.resumable(""))
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		id, ext, _ := strings.Cut(e.Name(), ".")
		if !reserved[id] || ext == "part" {
			if err := os.Remove(c.resumable(e.Name())); err != nil {
				return fmt.Errorf("filectr: %w", err)
			}
			continue
		}
		if ext == "json" {
			there[id] = true
		}
	}
	for id := range reserved {
		u, err := c.read(id)
		if err == nil && there[id] {
			err = c.begun.add(u.Owner, id, len(reserved))
		}
		switch {
		case !there[id], err != nil:
			c.end(id)
		case u.offset == u.Size:
			if err := c.finish(context.Background(), u); err != nil {
				c.log.Warn("an upload of the last process could not be finished", "upload", id, "err", err)
			}
		}
	}
	return nil
}

// expire ends uploads in parts to which nothing came for long.
func (c *Center) expire() error {
	entries, err := os.ReadDir(c.resumable(""))
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	for _, e := range entries {
		id, ext, _ := strings.Cut(e.Name(), ".")
		if ext != "json" {
			continue
		}
		u, err := c.read(id)
		if err == nil && !c.now().Before(c.expires(u)) {
			c.end(id)
		}
	}
	return c.givenUp()
}

// longest is how long an upload in parts to another node's own directory may take.
const longest = 7 * 24 * time.Hour

// givenUp gives room back that uploads of other nodes have taken and that nobody knows of any
// more: a node that ends for good gives nothing back.
func (c *Center) givenUp() error {
	if c.cfg.Node == "" {
		return nil
	}
	all, err := c.store.Reservations(context.Background())
	if err != nil {
		return fmt.Errorf("filectr: uploads of other nodes: %w", err)
	}
	for _, r := range all {
		if r.Node == c.cfg.Node || r.Created.IsZero() || c.now().Before(r.Created.Add(c.cfg.Unsent)) {
			continue
		}
		if r.Resumable {
			_, err := os.Stat(c.resumable(r.ID + ".json"))
			switch {
			case c.cfg.Shared == "" && c.now().Before(r.Created.Add(longest)):
				continue // its node has it
			case err == nil:
				continue // expire has its own time for it
			}
		}
		if err := c.store.Release(context.Background(), r.ID); err != nil {
			return fmt.Errorf("filectr: uploads of other nodes: %w", err)
		}
	}
	return nil
}

// tidyShared removes what uploads in parts of any node have left behind for so long that
// nobody is at it any more. What is complete becomes a file when its client asks.
func (c *Center) tidyShared() error {
	if err := os.MkdirAll(c.resumable(""), 0o700); err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	entries, err := os.ReadDir(c.resumable("")) // before the reservations, which are made before their files
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	left, err := c.store.Reservations(context.Background())
	if err != nil {
		return fmt.Errorf("filectr: uploads of all nodes: %w", err)
	}
	reserved := map[string]bool{}
	for _, r := range left {
		reserved[r.ID] = r.Resumable
	}
	for _, e := range entries {
		id, ext, _ := strings.Cut(e.Name(), ".")
		info, err := e.Info()
		if err != nil || c.now().Sub(info.ModTime()) < time.Hour {
			continue
		}
		if reserved[id] && ext != "part" {
			continue
		}
		if err := os.Remove(c.resumable(e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("filectr: %w", err)
		}
	}
	for id := range reserved {
		if u, err := c.read(id); err == nil {
			if err := c.begun.add(u.Owner, id, len(reserved)); err != nil {
				return err
			}
		}
	}
	return nil
}
