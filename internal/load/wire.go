package load

import (
	"context"
	"fmt"
	"time"
)

// wire is how a server is spoken to: Troupe's JSON frames, or the floor's bytes.
type wire interface {
	path() string
	opcode() byte
	// hello signs c in as its user, and waits for the answer.
	hello(c *conn) error
	// open makes members[0]'s session with the others, and waits for the answer.
	open(members []*conn, group bool) (id string, err error)
	// beat is a sign of life, nil where none is needed.
	beat() []byte
	// template makes what stamp fills in for every message of a flow.
	template(f *flow)
	// stamp writes the number and time of one message into f.message.
	stamp(f *flow, n uint32, sent int64)
	// read looks at what the server sent. e is clean.
	read(payload []byte, e *event) error
}

type eventKind byte

const (
	otherEvent eventKind = iota
	ackEvent
	pushEvent
	refusedEvent
)

// event is what matters of one frame. text points into the read buffer.
type event struct {
	kind eventKind
	n    uint32 // of an ack: which message
	seq  int64
	text []byte // of a push of a message
	why  string // of a refusal
}

// started is the zero of all times in messages, so that they are short and monotonic.
var started = time.Now()

// since gives nanoseconds since the program started.
func since() int64 { return int64(time.Since(started)) }

// A message's text is "SSSSSSS NNNNNNNNNN TTTTTTTTTTTTTTTT xxx…": who sent it, its
// number there, and when, in nanoseconds. The receiver needs nothing else to check it.
const (
	senderDigits = 7
	numberDigits = 10
	timeDigits   = 16
	numberAt     = senderDigits + 1
	timeAt       = numberAt + numberDigits + 1
	minPayload   = timeAt + timeDigits + 1
)

func newText(sender, size int) []byte {
	b := make([]byte, max(size, minPayload))
	for i := range b {
		b[i] = 'x'
	}
	digits(b[:senderDigits], int64(sender))
	b[senderDigits], b[timeAt-1], b[minPayload-1] = ' ', ' ', ' '
	stampText(b, 0, 0)
	return b
}

func stampText(text []byte, n uint32, sent int64) {
	digits(text[numberAt:numberAt+numberDigits], int64(n))
	digits(text[timeAt:timeAt+timeDigits], sent)
}

func parseText(text []byte) (sender int, n uint32, sent int64, err error) {
	if len(text) < minPayload || text[senderDigits] != ' ' || text[timeAt-1] != ' ' {
		return 0, 0, 0, fmt.Errorf("a message that was not sent by this run")
	}
	return int(number(text[:senderDigits])), uint32(number(text[numberAt : numberAt+numberDigits])),
		number(text[timeAt : timeAt+timeDigits]), nil
}

// digits writes n right-aligned with leading zeros over all of b.
func digits(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
}

// each runs f for 0..n-1, up to workers at a time, and stops at the first error.
func each(ctx context.Context, n, workers int, f func(int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	done := make(chan struct{}, workers)
	for range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range next {
				if err := f(i); err != nil {
					cancel(err)
					return
				}
			}
		}()
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	for range workers {
		<-done
	}
	return context.Cause(ctx)
}
