package mongostore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/actors"
)

// errNumber is the outcome of a commit whose number another activation has taken.
var errNumber = errors.New("mongostore: the number is taken")

// lateEvery is how long is waited before something is tried again in the background.
const lateEvery = 500 * time.Millisecond

// insertCommits inserts commits, and says of each what became of it: nil, it is durable;
// errNumber; actors.ErrUnknown, when not even asking again has told; anything else: it
// is not there and never will be. What was inserted without an answer is inserted again
// under the same _id, and is known by its token.
func (s *Store) insertCommits(ctx context.Context, docs []*commitDoc) []error {
	outcomes := make([]error, len(docs))
	open := make([]int, len(docs)) // those that are not decided
	for i := range docs {
		open[i] = i
	}
	if s.away.Load() {
		for i := range outcomes {
			outcomes[i] = s.busy("commit", nil)
		}
		return outcomes
	}
	sent := make([]bool, len(docs)) // it may have reached a server
	began := time.Now()
	deadline := began.Add(s.opts.Patience)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		var err error
		if open, err = s.insertOnce(ctx, docs, open, sent, outcomes); len(open) == 0 {
			return outcomes
		}
		if time.Now().After(deadline) || s.closing.Err() != nil || s.sight.hurried() {
			if s.sight.hurried() || !s.sight.since(began) {
				s.leave(err)
			}
			for _, i := range open {
				if outcomes[i] = s.busy("commit", err); sent[i] {
					outcomes[i] = fmt.Errorf("mongostore: commit of %s: %w (%w)", docs[i].Session, actors.ErrUnknown, err)
				}
			}
			return outcomes
		}
		s.log.Debug("commits are inserted again", "commits", len(open), "err", err)
		s.pause(ctx, wait)
	}
}

// insertOnce is one try, and gives those that are still open and why.
func (s *Store) insertOnce(ctx context.Context, docs []*commitDoc, open []int, sent []bool, outcomes []error) (left []int, why error) {
	within, cancel := s.attempt(ctx)
	defer cancel()
	batch := make([]*commitDoc, len(open))
	for i, at := range open {
		batch[i] = docs[at]
	}
	_, err := s.db.Collection(inCommits).InsertMany(within, batch, options.InsertMany().SetOrdered(false))
	if err == nil {
		s.sight.saw()
		return nil, nil // and their outcomes are nil
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) {
		if !passes(err) && within.Err() == nil {
			for _, at := range open {
				outcomes[at] = fmt.Errorf("mongostore: commit of %s: %w", docs[at].Session, err)
			}
			return nil, nil
		}
		if !neverSent(err) {
			for _, at := range open {
				sent[at] = true
			}
		}
		return open, err
	}
	refused := map[int]mongo.BulkWriteError{}
	for _, e := range bulk.WriteErrors {
		refused[e.Index] = e
	}
	for i, at := range open {
		e, bad := refused[i]
		switch {
		case !bad && bulk.WriteConcernError != nil: // it is there, but not with enough nodes yet
			sent[at] = true
			left, why = append(left, at), err
		case !bad:
			outcomes[at] = nil
		case e.Code == 11000:
			who, err := get[commitDoc](ctx, s, inCommits, docs[at].ID)
			switch {
			case err != nil:
				left, why = append(left, at), err
			case who == nil: // with the primary, but not with the majority yet
				left, why = append(left, at), errors.New("mongostore: the number is taken by what is not durable yet")
			case who.Token == docs[at].Token:
				outcomes[at] = nil
			default:
				outcomes[at] = errNumber
			}
		case passes(e):
			sent[at] = true
			left, why = append(left, at), err
		default:
			outcomes[at] = fmt.Errorf("mongostore: commit of %s: %w", docs[at].Session, e)
		}
	}
	return left, why
}

// neverSent says of an error that no server has seen what it is of.
func neverSent(err error) bool {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "server selection error") || strings.Contains(text, "was cleared because another operation failed")
}
