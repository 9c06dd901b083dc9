package mongostore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var _ actors.Writings = (*Store)(nil)

// WrittenBy fills actors.Writings. It reads all commits; entries that do not have the user's id in them
// are passed over undecoded.
func (s *Store) WrittenBy(ctx context.Context, user protocol.UserID, use func(session protocol.SessionID, e *protocol.Entry) error) error {
	if user == "" {
		return nil
	}
	id := []byte(user)
	entries := options.Find().SetProjection(bson.D{eq("s", 1), eq("e", 1)})
	return each(ctx, s, inCommits, bson.D{op("a", "$gt", int64(0))}, func(c *commitDoc) error {
		for i := range c.Entries {
			d := &c.Entries[i]
			if d.Sender != user && !bytes.Contains(d.Data, id) && !bytes.Contains(d.Original, id) {
				continue
			}
			e, err := d.entry(c.Session)
			if err != nil {
				return err
			}
			is := e.Kind == protocol.Kind_MESSAGE && (e.Sender == user || forwards(e.Content, user))
			if !is && e.Kind == protocol.Kind_MESSAGE && d.Original != nil {
				o := &protocol.Entry{}
				if err := proto.Unmarshal(d.Original, o); err != nil {
					return fmt.Errorf("mongostore: original %s %d: %w", c.Session, d.Seq, err)
				}
				is = forwards(o.Content, user)
			}
			if is {
				if err := use(c.Session, e); err != nil {
					return err
				}
			}
		}
		return nil
	}, entries)
}

// forwards says that a message of user is forwarded in a content.
func forwards(c *protocol.Content, user protocol.UserID) bool {
	return slices.ContainsFunc(c.GetForwarded(), func(f *protocol.Forwarded) bool { return f.Sender == user })
}
