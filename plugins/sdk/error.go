package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Error is what the host answers when it does not do what a bot wants: docs/errors has a
// page for each code.
type Error struct {
	Code       string // DENIED, RATE_LIMITED, …
	Detail     string
	RetryAfter time.Duration // with RATE_LIMITED and BUSY: when to try again
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Code + ": " + e.Detail
}

// Is has errors.Is(err, &sdk.Error{Code: "CONFLICT"}) compare codes alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Code is err's code; INTERNAL where it is not a host's, "" of nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return "INTERNAL"
}

var (
	// ErrStopped is why a Ctx ends when a person does not want the answer any more.
	ErrStopped = errors.New("stopped by a person")
	// ErrGone is why a Ctx ends when the host is not there any more.
	ErrGone = errors.New("the host is gone")
)

// dropped is an error after which the event is not to come again.
type dropped struct{ err error }

func (d *dropped) Error() string { return d.err.Error() }
func (d *dropped) Unwrap() error { return d.err }

// Drop marks an error so that the event does not come again; nil stays nil.
func Drop(err error) error {
	if err == nil {
		return nil
	}
	return &dropped{err}
}

// RetryIn marks an error so that the event comes again, not before d has passed.
func RetryIn(d time.Duration, err error) error {
	return fmt.Errorf("%w: %w", &Error{Code: "BUSY", Detail: "later", RetryAfter: d}, err)
}

// hopeless are the codes that the same call gets again, however often it is made.
var hopeless = map[string]bool{
	"BAD_REQUEST": true, "UNAUTHORIZED": true, "DENIED": true, "NOT_FOUND": true,
	"TOO_LARGE": true, "OUT_OF_RANGE": true, "UNSUPPORTED": true, "WINDOW_OVER": true,
	"TOO_MANY": true, "BLOCKED": true, "EXPIRED": true,
}

// ack says how a function ended.
func ack(event string, err error) *botv1.Ack {
	a := &botv1.Ack{Event: event}
	if err == nil {
		return a
	}
	a.Error = clean(cmp.Or(err.Error(), "an error without a text"))
	var d *dropped
	a.Drop = errors.As(err, &d)
	var e *Error
	if errors.As(err, &e) {
		a.Drop = a.Drop || hopeless[e.Code]
		a.RetryAfterMs = e.RetryAfter.Milliseconds()
	}
	return a
}

// refusal is a Result's or context's reason as an error.
func refusal(r *botv1.Result) error {
	if r.GetCode() == "" {
		return nil
	}
	return &Error{Code: r.Code, Detail: r.Error, RetryAfter: time.Duration(r.RetryAfterMs) * time.Millisecond}
}

func over(ctx context.Context) error { return context.Cause(ctx) }
