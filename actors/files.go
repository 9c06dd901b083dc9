package actors

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Files is what sessions ask about the files that messages name.
type Files interface {
	// Readable fails with NOT_FOUND where user may not read one of names: ids of files,
	// or links to elsewhere.
	Readable(ctx context.Context, user protocol.UserID, names []string) error
}

// UseFiles has messages refused that name files which their sender may not read. It
// is called before the first connection. Without it names of files are taken as they are.
func (n *Node) UseFiles(f Files) { n.files = f }

// checksFiles says whether a message's content has to be asked about first.
func (n *Node) checksFiles(c *protocol.Content) bool { return n.files != nil && c.HasFiles() }
