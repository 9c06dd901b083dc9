package actors

import (
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// digestText is in bytes: two lines of a home list, in any script.
	digestText = 256
	// digestMentions is how many a digest names; that one is mentioned the row says.
	digestMentions = 8
	// listBytes bounds a page of the home list, as pageBytes does one of a log: rows are
	// counted as protobuf, and JSON takes about half as much again.
	listBytes = 96 << 10
)

// digest is a message as a home list shows it: e itself where that is small, else a
// copy with cut set, whose texts are cut to digestText bytes at a rune's boundary, and
// without lists, application data, and links that are too long to be cut.
func digest(e *protocol.Entry) *protocol.Entry {
	c := e.Content
	small := len(e.Mentions) <= digestMentions && len(e.Members) == 0 && len(e.Reactions) == 0
	if small && (c == nil || smallContent(c)) {
		return e
	}
	d := &protocol.Entry{
		Session: e.Session, Seq: e.Seq, MessagerecvId: e.MessagerecvId, Kind: e.Kind, Sender: e.Sender,
		ClientMsgId: e.ClientMsgId, CreatedAt: e.CreatedAt, Expire: e.Expire, ReplyTo: e.ReplyTo,
		EditedAt: e.EditedAt, Recalled: e.Recalled, Expired: e.Expired, Platform: e.Platform, Cut: true, Deal: e.Deal,
	}
	if len(e.Mentions) <= digestMentions {
		d.Mentions = e.Mentions
	}
	if c != nil {
		d.Content = &protocol.Content{
			Type: c.Type, Text: cutText(c.Text), Name: cutText(c.Name), Title: cutText(c.Title), Digest: cutText(c.Digest),
			File: whole(c.File), Mime: whole(c.Mime), Url: whole(c.Url), Thumb: whole(c.Thumb),
			Size: c.Size, Width: c.Width, Height: c.Height, Duration: c.Duration,
		}
	}
	return d
}

func smallContent(c *protocol.Content) bool {
	for _, s := range [...]string{c.Text, c.Name, c.Title, c.Digest, c.File, c.Mime, c.Url, c.Thumb} {
		if len(s) > digestText {
			return false
		}
	}
	return len(c.Files) == 0 && len(c.Forwarded) == 0 && c.Data == ""
}

// cutText is the beginning of s in whole runes.
func cutText(s string) string { return cutTo(s, digestText) }

// cutTo is the beginning of s of at most n bytes, in whole runes.
func cutTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// whole is s, or nothing: half a link leads nowhere.
func whole(s string) string {
	if len(s) > digestText {
		return ""
	}
	return s
}
