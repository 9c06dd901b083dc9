package actors

import (
	"errors"
	"fmt"
)

// What a store says of an Append that it refused.
//
// ErrUnknown says that the store lost sight of it: it may be written, or be written
// yet. Nobody is told that it succeeded or failed; whoever asks again, under the same
// client message id, is told the truth.
var (
	ErrUnknown = errors.New("what became of the append is not known")
	ErrStale   = errors.New("a newer activation of the session holds its log")
	ErrTaken   = errors.New("the seq is not the next one of the session's log")
)

// DuplicateError says that a client message id is in the log already.
type DuplicateError struct{ Sent Sent }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("the client message id is taken by seq %d", e.Sent.Seq)
}
