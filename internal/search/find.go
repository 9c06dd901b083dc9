package search

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Find gives a page of the messages that user may read and that have all the query's words.
// BAD_REQUEST, NOT_FOUND (a session that user is not in), RATE_LIMITED, BUSY.
func (c *Center) Find(ctx context.Context, user protocol.UserID, q Query) (*Page, error) {
	words, err := parse(q.Words)
	if err != nil {
		return nil, err
	}
	if user == "" {
		return nil, protocol.BadRequest("a user is needed whose messages are searched")
	}
	q.Limit = min(max(q.Limit, 1), MaxPage)
	w := &walk{ctx: ctx, terms: words, query: &q, now: c.now(), start: spot{at: math.MaxInt64}}
	if !q.Before.IsZero() {
		w.start.at = q.Before.UnixMilli() - 1
	}
	if !q.After.IsZero() {
		w.after = q.After.UnixMilli()
	}
	for _, t := range q.Types {
		w.types = append(w.types, int32(t))
	}
	if q.Cursor != "" {
		if w.start, err = parseSpot(q.Cursor); err != nil {
			return nil, err
		}
	}
	if err := c.rates.take(user, c.cfg, c.now()); err != nil {
		return nil, err
	}
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return nil, protocol.Errorf(protocol.Code_BUSY, "others are searching, try again")
	}
	page := &Page{}
	var rest spot
	err = c.store.Look(ctx, func(r Reader) error {
		w.r = r
		rooms, err := r.Rooms(user, q.Session)
		if err != nil {
			return err
		}
		if q.Session != "" && len(rooms) == 0 {
			return protocol.NotFound("session %.64q", q.Session)
		}
		w.left, w.until = c.cfg.Rows, time.Now().Add(c.cfg.Within)
		rest, page.Partial, err = w.run(rooms)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(w.hits, spot.compare)
	if len(w.hits) > q.Limit {
		w.hits = w.hits[:q.Limit]
		rest, page.Partial = w.hits[q.Limit-1], false
	}
	if rest != (spot{}) {
		page.Next = rest.String()
	}
	return page, c.show(ctx, user, words, w.hits, page)
}

// show reads the hits as they stand now: what was recalled meanwhile, or says something else, is left out.
func (c *Center) show(ctx context.Context, user protocol.UserID, words *terms, hits []spot, page *Page) error {
	places := make([]Place, len(hits))
	for i, s := range hits {
		places[i] = Place{s.session, s.seq}
	}
	found, err := c.store.Read(ctx, user, places)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	for _, f := range found {
		if f == nil {
			continue
		}
		content, err := proto.Marshal(f.Entry.Content)
		if err != nil {
			return fmt.Errorf("search: %s: %w", f.Entry.MessagerecvId, err)
		}
		if words.in(content) {
			page.Hits = append(page.Hits, words.hit(*f, content))
		}
	}
	return nil
}

// String is the cursor of what is behind s.
func (s spot) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d.%s", s.at, s.seq, s.session))
}

func parseSpot(cursor string) (s spot, err error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		var n int
		n, err = fmt.Sscanf(string(b), "%d.%d.%s", &s.at, &s.seq, &s.session)
		if n == 2 && s.seq == 0 { // a time alone: all of that time is behind it
			err = nil
		}
	}
	if err != nil || s.at <= 0 || s.seq < 0 || s.session != "" && s.seq == 0 {
		return s, protocol.BadRequest("cursor: give back what next said")
	}
	return s, nil
}
