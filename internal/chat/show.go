package chat

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/troupe-im/troupe/internal/protocol"
)

// clean takes out of what others wrote whatever a terminal would act on: control
// characters, and those that turn the direction of a line around.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, s)
}

func clock(ms int64) string {
	t := time.UnixMilli(ms)
	if time.Since(t) < 20*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("01-02 15:04")
}

// body is what a message says, in one line.
func body(x *protocol.Content) string {
	if x == nil {
		return ""
	}
	if x.Type == protocol.ContentType_TEXT {
		return clean(x.Text)
	}
	var more []string
	for _, s := range []string{x.Title, x.Name, x.Text, x.Url, x.File} {
		if s != "" {
			more = append(more, clean(s))
		}
	}
	return "[" + strings.ToLower(x.Type.String()) + "] " + strings.Join(more, " ")
}

// show is one entry as a line.
func (c *chat) show(e *protocol.Entry) string {
	who := c.name(e.Sender)
	head := fmt.Sprintf("%s #%d %s", clock(e.CreatedAt), e.Seq, who)
	switch e.Kind {
	case protocol.Kind_MESSAGE:
		switch {
		case e.Recalled:
			return head + " took a message back"
		case e.Expired:
			return head + ": (expired)"
		}
		line := head + ": " + body(e.Content)
		if _, seq, ok := strings.Cut(e.ReplyTo, "."); ok {
			line += " (to #" + clean(seq) + ")"
		}
		if e.EditedAt != 0 {
			line += " (edited)"
		}
		for _, r := range e.Reactions {
			line += fmt.Sprintf(" %s%d", clean(r.Reaction), max(int(r.Count), len(r.Users)))
		}
		return line
	case protocol.Kind_RECALL:
		return fmt.Sprintf("%s took #%d back", head, e.Target)
	case protocol.Kind_EDIT:
		return fmt.Sprintf("%s changed #%d to: %s", head, e.Target, body(e.Content))
	case protocol.Kind_REACT:
		if e.Removed {
			return fmt.Sprintf("%s took %s off #%d", head, clean(e.Reaction), e.Target)
		}
		return fmt.Sprintf("%s put %s on #%d", head, clean(e.Reaction), e.Target)
	case protocol.Kind_JOIN:
		if len(e.Members) == 1 && e.Members[0] == e.Sender {
			return head + " came in"
		}
		return fmt.Sprintf("%s brought in %s", head, c.namesOf(e.Members))
	case protocol.Kind_LEAVE:
		if len(e.Members) == 1 && e.Members[0] == e.Sender {
			return head + " left"
		}
		return fmt.Sprintf("%s removed %s", head, c.namesOf(e.Members))
	case protocol.Kind_CHANGE:
		return head + " " + c.changed(e)
	case protocol.Kind_EXPIRE:
		return fmt.Sprintf("%s #%d has expired", clock(e.CreatedAt), e.Target)
	default:
		return fmt.Sprintf("%s: %s of #%d", head, strings.ToLower(e.Kind.String()), e.Target)
	}
}
