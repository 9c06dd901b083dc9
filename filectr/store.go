package filectr

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Kind says what a file is to people.
type Kind string

const (
	Image    Kind = "image"
	Voice    Kind = "voice"
	Video    Kind = "video"
	Package  Kind = "package"  // what a device installs
	Document Kind = "document" // everything else: only to be saved
)

// File is one stored file. It never changes.
type File struct {
	ID      protocol.FileID
	Owner   protocol.UserID // who uploaded it; "": the installation
	App     string          // by which its owner came, "": none
	Guest   bool            // its owner is an anonymous visitor
	Name    string          // cleaned
	Mime    string
	Kind    Kind
	Size    int64 // bytes
	Sum     Sum   // of what is kept, which may be less than what was sent: see docs/files.md
	Created time.Time

	Width, Height int           // pixels, as shown
	Frames        int           // of a picture that moves; 0: it doesn't
	Placeholder   string        // a blurhash, to show until the picture is there
	Duration      time.Duration // of voice and video, 0: not known
	Peaks         []byte        // of voice: its loudness over time, none: not known
	Thumbs        []Thumb       // smallest first

	Deal *Deal // what was decided of it, nil: nobody looks at it
}

// Sizes of smaller pictures.
const (
	Small = "small" // 320 pixels on the longer side
	Large = "large" // 1280
)

// Thumb is a smaller picture of a file.
type Thumb struct {
	Size          string // Small or Large
	Sum           Sum
	Mime          string
	Bytes         int64
	Width, Height int
}

// Bytes is what f counts against quotas, with what stands in its place.
func (f *File) Bytes() int64 {
	n := f.Size
	for _, t := range f.Thumbs {
		n += t.Bytes
	}
	if f.Deal != nil && f.Deal.Picture != nil {
		n += f.Deal.Picture.Bytes()
	}
	return n
}

// Sums gives the contents that f and what stands in its place are made of, each once.
func (f *File) Sums() []Sum {
	sums := []Sum{f.Sum}
	for _, t := range f.Thumbs {
		if !slices.Contains(sums, t.Sum) {
			sums = append(sums, t.Sum)
		}
	}
	if f.Deal != nil && f.Deal.Picture != nil {
		for _, sum := range f.Deal.Picture.Sums() {
			if !slices.Contains(sums, sum) {
				sums = append(sums, sum)
			}
		}
	}
	return sums
}

// Reservation is room that an upload has taken before its bytes come.
type Reservation struct {
	ID        string          // of the upload; the file's id later
	User      protocol.UserID // "": the installation, whose files count against Quota.All alone
	App       string          // by which the user came, "": none
	Guest     bool            // the user is an anonymous visitor
	Bytes     int64
	Resumable bool      // it outlives this process
	Node      string    // whose process it is of, "": there is one only
	Created   time.Time // zero: not known
}

// Quota bounds what is kept, in bytes.
type Quota struct {
	User   int64 // of one user
	All    int64 // of all together
	App    int64 // of all who came by the user's application, 0: whatever All has
	Guests int64 // of that one's visitors, 0: whatever App has
}

// ErrQuota says that a Quota would be passed: the user's own, or that of its
// application, or that of the visitors of it, or that of all.
type ErrQuota struct{ User, App, Guests bool }

func (e ErrQuota) Error() string {
	switch {
	case e.User:
		return "the user's quota is used up"
	case e.App:
		return "the application's quota is used up"
	case e.Guests:
		return "the quota of the application's visitors is used up"
	}
	return "the quota of all is used up"
}

// ErrInUse says that something refers to what was to be removed.
var ErrInUse = errors.New("it is in use")

// ErrUnclaimed says that a claim on a content was ended, or never made: it may be gone.
var ErrUnclaimed = errors.New("filectr: a content has not been claimed, or too long ago")

// Store is where files' rows are kept. Whatever a method writes is durable when it
// returns. A row that isn't there is a protocol.NotFound error.
//
// Which entry of which session names which file is known to the store too: whoever
// writes an entry writes that in the same step, and ends it with an entry that names
// the file no more.
type Store interface {
	AvatarStore
	ReleaseStore

	// Reserve takes room, or fails with ErrQuota and takes none. Of any number at
	// once no more get room than there is. A taken id is protocol.Conflict.
	Reserve(ctx context.Context, r *Reservation, q Quota) error
	// Release gives room back that no file has taken. None is no error.
	Release(ctx context.Context, id string) error
	// Reservations gives all there are.
	Reservations(ctx context.Context) ([]*Reservation, error)
	// Used is what user's files and reservations take; "" is all of them together.
	Used(ctx context.Context, user protocol.UserID) (int64, error)
	// UsedIn is what files and reservations of those take who came by an application, or
	// of its visitors among them.
	UsedIn(ctx context.Context, app string, guests bool) (int64, error)

	// Claim notes contents that are about to be kept for a file, by its id, or an avatar, by
	// its path. Whoever puts one where contents are claims it before.
	Claim(ctx context.Context, sums []Sum, by string, at time.Time) error
	// Doubtful gives contents that were claimed before a time, or whose last file went before.
	Doubtful(ctx context.Context, before time.Time, limit int) ([]Sum, error)
	// HasContent says whether a file has a content.
	HasContent(ctx context.Context, sum Sum) (bool, error)
	// Unclaim ends claims of before a time on a content that a file has.
	Unclaim(ctx context.Context, sum Sum, before time.Time) error
	// Condemn ends what is noted of a content: that its last file went, and claims of before a
	// time, whose files cannot be added any more. It says that nobody is left then: no file has
	// it and nobody has claimed it since.
	Condemn(ctx context.Context, sum Sum, before time.Time) (bool, error)
	// Wanted says whether a file has a content, or anything is noted of it.
	Wanted(ctx context.Context, sum Sum) (bool, error)

	// AddFile keeps a file instead of the reservation with its id, and ends its claims.
	// ErrUnclaimed; ErrQuota: it is larger than what was reserved, and there is no room for
	// that. No reservation is protocol.NotFound.
	AddFile(ctx context.Context, f *File, q Quota) error
	File(ctx context.Context, id protocol.FileID) (*File, error)
	// Files gives a user's files, from after on in order of their ids.
	Files(ctx context.Context, user protocol.UserID, after protocol.FileID, limit int) ([]*File, error)
	// Standing says how user stands to a file that is there.
	Standing(ctx context.Context, id protocol.FileID, user protocol.UserID, now time.Time) (Standing, error)
	// PutDeal writes down what was decided of a file, or that it waits, where its state was
	// was until now; else it is protocol.Conflict. What stands in its place counts against
	// the room of who uploaded it, whatever its quota, and its contents, which were claimed by
	// the file's id, are the file's until another deal is put. ErrUnclaimed.
	PutDeal(ctx context.Context, id protocol.FileID, d *Deal, was State) error
	// Reviews gives files whose deal is Pending and due at now or before, those first that
	// wait for longest, and when the first of the others is due; zero: there is none.
	Reviews(ctx context.Context, now time.Time, limit int) (ids []protocol.FileID, next time.Time, err error)
	// Loose gives files to which no entry refers: those never sent and older than
	// unsent, and those whose last entry let go of them before dropped.
	Loose(ctx context.Context, unsent, dropped time.Time, limit int) ([]protocol.FileID, error)
	// RemoveFile ends a file and gives its room back; its contents are doubtful from now
	// on. ErrInUse: an entry refers to it. None is no error.
	RemoveFile(ctx context.Context, id protocol.FileID, now time.Time) error
}

// Standing is how a user stands to a file.
type Standing struct {
	Owner  bool // uploaded it
	Sent   bool // it was sent, at some time
	Live   bool // some entry names it still
	Reader bool // may read an entry that names it
	State  State
}

// May says whether somebody who stands so to a file may read it: a file is its
// uploader's until it is sent, and then of those who may read an entry with it. Its
// uploader is one of them as long as there is such an entry.
//
// What was decided of it is asked besides: see State.
func (s Standing) May() bool {
	return s.Reader || s.Owner && (s.Live || !s.Sent)
}
