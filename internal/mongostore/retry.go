package mongostore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/troupe-im/troupe/internal/protocol"
)

// again does op until it succeeds, or fails in a way that does not pass, or patience is
// over. op may be done more than once, and an attempt that failed may have been done:
// so it is a read, an insert under an id of its own, or an update that is the same
// done twice. The error says what was done; it is BUSY where the database is away, or does
// not answer in the time that ctx has.
func (s *Store) again(ctx context.Context, what string, op func(ctx context.Context) error) error {
	return s.againFor(ctx, s.opts.Patience, what, op)
}

func (s *Store) againFor(ctx context.Context, patience time.Duration, what string, op func(ctx context.Context) error) error {
	if s.away.Load() {
		return s.busy(what, nil)
	}
	began := time.Now()
	deadline := began.Add(patience)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		within, cancel := s.attempt(ctx)
		err := op(within)
		cancel()
		switch {
		case err == nil:
			s.sight.saw()
			return nil
		case errors.Is(ctx.Err(), context.DeadlineExceeded): // whoever asks has waited for it long enough
			return s.busy(what, ctx.Err())
		case ctx.Err() != nil:
			return fmt.Errorf("mongostore: %s: %w", what, ctx.Err())
		case s.sight.hurried():
			s.leave(err)
			return s.busy(what, err)
		case !passes(err):
			s.sight.saw()
			return fmt.Errorf("mongostore: %s: %w", what, err)
		case s.closing.Err() != nil:
			return s.busy(what, err)
		case time.Now().After(deadline):
			if !s.sight.since(began) { // else it is only this that takes too long
				s.leave(err)
			}
			return s.busy(what, err)
		}
		s.log.Debug("the database is asked again", "for", what, "err", err)
		s.pause(ctx, wait)
	}
}

// pause waits, at most until ctx or the store ends.
func (s *Store) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.closing.Done():
	}
}

// busy is what is said while the database is away: that it was not done, and when to
// come again.
func (s *Store) busy(what string, err error) error {
	coded := &protocol.Error{Code: protocol.Code_BUSY, Detail: "the database cannot be reached now", RetryAfterMs: 1000}
	if err == nil {
		return fmt.Errorf("mongostore: %s: %w", what, coded)
	}
	return fmt.Errorf("mongostore: %s: %w (%w)", what, coded, err)
}

// leave notes that the database is away: until it answers again everybody is told BUSY
// at once, instead of waiting for nothing.
func (s *Store) leave(err error) {
	if s.away.Swap(true) || s.closing.Err() != nil {
		return
	}
	s.log.Error("the database cannot be reached; everything is answered BUSY until it is back", "err", err)
	s.workers.Go(func() {
		for s.closing.Err() == nil {
			ctx, cancel := context.WithTimeout(s.closing, s.opts.Timeout)
			err := s.db.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err()
			cancel()
			if err == nil {
				s.sight.saw()
				s.sight.patient()
				s.away.Store(false)
				s.log.Info("the database is back")
				return
			}
			s.pause(s.closing, 200*time.Millisecond)
		}
	})
}

// Ready is nil while the database is there, else why it is not.
func (s *Store) Ready() error {
	if s.away.Load() {
		return s.busy("ready", nil)
	}
	return nil
}

// passing are the server's codes of what another try may find mended: a primary that
// steps down or is being elected, a node that ends, a lost connection between nodes, a
// write that not enough nodes have confirmed in time.
var passing = []int{
	6, 7, 89, 9001, 262, // the network, or time
	64,                             // a write concern was not met in time: it may be written
	91, 11600, 11602, 189, 100, 50, // a node ends or steps down, an operation is interrupted
	10107, 13435, 13436, 10058, 133, 134, 150, 234, 63, 13388, // no primary here
}

// passes says that err may be gone at the next try. Then op may have been done.
func passes(err error) bool {
	if mongo.IsTimeout(err) || mongo.IsNetworkError(err) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var server mongo.ServerError
	if errors.As(err, &server) {
		if server.HasErrorLabel("RetryableWriteError") || server.HasErrorLabel("RetryableError") {
			return true
		}
		for _, code := range server.ErrorCodes() {
			if slices.Contains(passing, code) {
				return true
			}
		}
		return false
	}
	text := err.Error() // what the driver makes of a pool that was cleared, and of no server, has no type
	for _, word := range []string{"server selection error", "connection pool", "connection(", "incomplete read", "EOF", "socket"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// taken says that an insert was refused because its id is there already.
func taken(err error) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && server.HasErrorCode(11000)
}

func ignoreTaken(err error) error {
	if taken(err) && !unconfirmed(err) {
		return nil
	}
	return err
}

// unconfirmed says that the server could not say whether enough nodes have a write.
func unconfirmed(err error) bool {
	var one mongo.WriteException
	var many mongo.BulkWriteException
	return errors.As(err, &one) && one.WriteConcernError != nil || errors.As(err, &many) && many.WriteConcernError != nil
}

func insertOne(ctx context.Context, c *mongo.Collection, doc any) error {
	_, err := c.InsertOne(ctx, doc)
	return err
}

// token names one write of this process, so that it is known again when its answer was
// lost. No two are the same.
func (s *Store) token() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func newEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// get reads the document with an id, nil: there is none. FerretDB has an index for
// nothing else.
func get[T any](ctx context.Context, s *Store, collection, id string) (*T, error) {
	var row *T
	err := s.again(ctx, "read of "+collection, func(ctx context.Context) error {
		row = new(T)
		err := s.db.Collection(collection).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(row)
		if errors.Is(err, mongo.ErrNoDocuments) {
			row, err = nil, nil
		}
		return err
	})
	return row, err
}
