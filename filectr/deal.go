package filectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// State is how a file stands that somebody looks at before others see it.
type State string

const (
	Unreviewed State = ""         // nobody does: everybody reads it who may read an entry with it
	Pending    State = "pending"  // somebody will: until then it is its uploader's alone
	Held       State = "held"     // a reviewer leaves it to somebody else; it is seen as Pending is
	Allowed    State = "allowed"  // it is read as if nobody had looked
	Rejected   State = "rejected" // nobody reads it; that it is so is told to who may know of it
	Replaced   State = "replaced" // others read what stands in its place; it stays beside that, for its uploader
)

// Deal is what was decided of a file, or that it waits. Requirements call so what is kept
// beside an original after it was looked at.
type Deal struct {
	State   State
	Reason  string // for people, one line
	By      string // a user, "reviewer" or "server"
	At      time.Time
	Tries   int       // of Pending: how often the reviewer could not say
	Due     time.Time // of Pending: when it is asked next
	Picture *File     // of Replaced: what others see; only what it is counts, not whose
}

// Those who decide and are no user.
const (
	byReviewer = "reviewer"
	byServer   = "server"
)

// state is how f stands.
func (f *File) state() State {
	if f.Deal == nil {
		return Unreviewed
	}
	return f.Deal.State
}

// reads says whether a file in a state is read by who may know of it; own: who uploaded it.
func (s State) reads(own bool) bool {
	return s == Unreviewed || s == Allowed || s == Replaced || own && s != Rejected
}

// knows gives a file that who may know of, whatever was decided of it, and whether it is
// who's own. NOT_FOUND.
func (c *Center) knows(ctx context.Context, who *protocol.Identity, id protocol.FileID) (f *File, own bool, err error) {
	if !protocol.IsFileID(id) {
		return nil, false, protocol.NotFound("file %.64q", id)
	}
	switch access.Asker(who) {
	case access.Nobody:
		return nil, false, protocol.Unauthorized("sign in first")
	case access.Key: // is in no session, and reads all of them with the scope for it
		if err := access.Decide(access.Read, access.Key, who); err != nil {
			return nil, false, err
		}
	default:
		at, err := c.store.Standing(ctx, id, who.User, c.now())
		if err != nil {
			return nil, false, err
		}
		if !at.May() {
			return nil, false, protocol.NotFound("file %s", id)
		}
	}
	if f, err = c.store.File(ctx, id); err != nil {
		return nil, false, err
	}
	return f, who.User != "" && f.Owner == who.User, nil
}

// seen is f as it is read by who may know of it. NOT_FOUND: it is not to be seen, or not yet.
func (f *File) seen(own bool) (*File, error) {
	switch s := f.state(); {
	case s == Rejected:
		return nil, protocol.NotFound("file %s was rejected", f.ID)
	case !s.reads(own):
		return nil, protocol.NotFound("file %s is not to be seen yet", f.ID)
	case s == Replaced && f.Deal.Picture != nil:
		other := *f.Deal.Picture
		other.ID, other.Owner, other.App, other.Guest, other.Created, other.Deal = f.ID, f.Owner, f.App, f.Guest, f.Created, f.Deal
		return &other, nil
	}
	return f, nil
}

// decided is f as everybody may see it who may know of it, for what is shown to others at
// once. BUSY: it waits for that; NOT_FOUND: nobody is to see it.
func (f *File) decided() (*File, error) {
	if s := f.state(); s == Pending || s == Held {
		return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "somebody has yet to look at this picture; try again later", RetryAfterMs: 5000}
	}
	return f.seen(false)
}

// Decision is what a reviewer says of a file.
type Decision struct {
	State   State  // Allowed, Rejected, Held or Replaced
	Reason  string // for people; it is told to who may know of the file
	Picture []byte // of Replaced: a picture that others are to see in the place of this one
}

// maxReason is in bytes.
const maxReason = 200

// decide writes down what becomes of a file, whose state was so. CONFLICT: it has changed
// meanwhile; UNSUPPORTED, TOO_LARGE: what is to stand in its place is no such picture.
func (c *Center) decide(ctx context.Context, f *File, d Decision, by string) error {
	deal := &Deal{State: d.State, Reason: reason(d.Reason), By: by, At: c.now()}
	var made []part
	switch d.State {
	case Allowed, Rejected, Held:
	case Replaced:
		if f.Kind != Image {
			return protocol.Errorf(protocol.Code_UNSUPPORTED, "only pictures are replaced, and file %s is none", f.ID)
		}
		var err error
		if deal.Picture, made, err = c.replacement(ctx, f, d.Picture); err != nil {
			return err
		}
		defer drop(made, len(made))
	default:
		return protocol.BadRequest("%.20q is no decision", d.State)
	}
	if c.onDeal != nil {
		if err := c.onDeal(ctx, f, deal); err != nil {
			return err
		}
	}
	if deal.Picture == nil {
		return c.store.PutDeal(ctx, f.ID, deal, f.state())
	}
	sums := deal.Picture.Sums()
	if err := c.claim(ctx, sums, f.ID, made); err != nil {
		return err
	}
	return c.claimed(ctx, c.store.PutDeal(ctx, f.ID, deal, f.state()), sums, f.ID)
}

// replacement makes a picture that is to stand in another's place, as an upload is made
// into one. The caller drops the parts.
func (c *Center) replacement(ctx context.Context, of *File, content []byte) (*File, []part, error) {
	if len(content) == 0 {
		return nil, nil, protocol.BadRequest("a picture is needed to stand in the place of another")
	}
	if int64(len(content)) > c.cfg.MaxImage {
		return nil, nil, protocol.TooLarge("a picture has at most %d bytes", c.cfg.MaxImage)
	}
	head := content[:min(len(content), sniffed)]
	f := &File{ID: protocol.NewFileID(), Name: of.Name, Size: int64(len(content)), Created: c.now()}
	if f.Mime, f.Kind = typeOf(head, ""); f.Kind != Image {
		return nil, nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "what is to stand in the place of a picture is none")
	}
	f.Name = strings.TrimSuffix(f.Name, path.Ext(f.Name)) + "." + strings.TrimPrefix(f.Mime, "image/")
	draft := c.draft(f.ID)
	defer os.Remove(draft)
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return nil, nil, fmt.Errorf("filectr: %w", err)
	}
	made, err := c.picture(ctx, f, draft)
	if err != nil {
		drop(made, len(made))
		return nil, nil, err
	}
	return f, made, nil
}

// reason is what a reviewer says, as one line that harms nobody who shows it.
func reason(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}

// OnDeal has f called with every decision that somebody or something took, before it
// holds; with an error it is not taken. It is called before Run. That a reviewer let a
// file pass is not told.
func (c *Center) OnDeal(f func(ctx context.Context, file *File, d *Deal) error) {
	c.onDeal = func(ctx context.Context, file *File, d *Deal) error {
		if d.State == Allowed && (d.By == byReviewer || d.By == byServer) {
			return nil
		}
		return f(ctx, file, d)
	}
}

// Decide writes down what who decides of a file. DENIED: who may not; NOT_FOUND; CONFLICT:
// somebody else decided at the same moment; UNSUPPORTED, TOO_LARGE, BAD_REQUEST: what is to
// stand in its place is no picture, or is not given.
func (c *Center) Decide(ctx context.Context, who *protocol.Identity, id protocol.FileID, d Decision) (*File, error) {
	f, err := c.Dealt(ctx, who, id)
	if err != nil {
		return nil, err
	}
	if err := c.decide(ctx, f, d, who.User); err != nil {
		return nil, err
	}
	return c.store.File(ctx, id)
}

// Dealt gives a file to who decides on files. DENIED, NOT_FOUND.
func (c *Center) Dealt(ctx context.Context, who *protocol.Identity, id protocol.FileID) (*File, error) {
	if err := access.Decide(access.ReviewFiles, access.Asker(who), who); err != nil {
		return nil, err
	}
	if !protocol.IsFileID(id) {
		return nil, protocol.NotFound("file %.64q", id)
	}
	return c.store.File(ctx, id)
}

// gone says whether an error means that there is nothing to decide any more.
func gone(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) && (e.Code == protocol.Code_NOT_FOUND || e.Code == protocol.Code_CONFLICT)
}
