package filectr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
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
	// Delete ends a content. None is no error.
	Delete(ctx context.Context, sum Sum) error
	// Ready says whether contents can be kept now.
	Ready(ctx context.Context) error
}

// Blob is an open content.
type Blob interface {
	io.ReadSeekCloser
	// Size is in bytes.
	Size() int64
}

// ErrNoBlob says that a content is not there.
var ErrNoBlob = errors.New("filectr: no such content")
