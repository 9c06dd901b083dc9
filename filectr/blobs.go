package filectr

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// Sum is the SHA-256 of a content, and its name where contents are kept.
type Sum [sha256.Size]byte

// String is the sum in hex.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum reads what String writes.
func ParseSum(text string) (s Sum, ok bool) {
	n, err := hex.Decode(s[:], []byte(text)) // of the wrong length: n or err says so
	return s, err == nil && n == len(s) && len(text) == 2*len(s)
}

// Blobs keeps contents, each under its sum. A content is there as a whole or not at
// all, whatever happens meanwhile. Its methods may be called from everywhere at once.
type Blobs interface {
	// Put keeps the content of a finished file under sum. When it returns nil the
	// content is durable, and the file at path is gone or the caller's to remove.
	// That the content is there already is no error.
	Put(ctx context.Context, sum Sum, path string) error
	// Open gives a content to read from any place. ErrNoBlob: it is not there.
	Open(ctx context.Context, sum Sum) (Blob, error)
	// SetAside takes a content out of its place: Open finds it still, and Put may bring it to its
	// place anew, which is another copy then. ErrNoBlob: none is in its place.
	SetAside(ctx context.Context, sum Sum) (Aside, error)
	// Return brings a copy that was set aside back to its place, Drop ends it. One that is not
	// there any more is no error.
	Return(ctx context.Context, a Aside) error
	Drop(ctx context.Context, a Aside) error
	// Asides gives the copies that were set aside before a time.
	Asides(ctx context.Context, before time.Time) ([]Aside, error)
	// Ready says whether contents can be kept now.
	Ready(ctx context.Context) error
}

// Aside is a copy of a content that was set aside.
type Aside struct {
	Sum  Sum
	Name string // this copy's: when it was set aside, in Unix nanoseconds, a hyphen, and what is nobody else's
}

func newAside(sum Sum) Aside {
	return Aside{sum, strconv.FormatInt(time.Now().UnixNano(), 10) + "-" + rand.Text()}
}

// parseAside reads SUM.NAME, where it was set aside before a time.
func parseAside(text string, before time.Time) (a Aside, ok bool) {
	sum, name, _ := strings.Cut(text, ".")
	at, _, _ := strings.Cut(name, "-")
	since, err := strconv.ParseInt(at, 10, 64)
	a.Sum, ok = ParseSum(sum)
	a.Name = name
	return a, ok && err == nil && since < before.UnixNano()
}

// Blob is an open content.
type Blob interface {
	io.ReadSeekCloser
	// Size is in bytes.
	Size() int64
}

// ErrNoBlob says that a content is not there.
var ErrNoBlob = errors.New("filectr: no such content")
