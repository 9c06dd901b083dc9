package pebblestore

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (c *committer) writeEntry(k sessionKey, e *protocol.Entry, row []byte, sent actors.Sent) {
	if c.rewrites {
		c.put(k.entry(e.Seq), row)
	} else {
		c.write(k.entry(e.Seq), row)
	}
	if e.ClientMsgId != "" {
		key := k.sent(protocol.SentKey(e.Sender, e.ClientMsgId))
		if c.looks {
			c.put(key, sentRow(sent))
		} else {
			c.write(key, sentRow(sent))
		}
	}
	c.moveDue(k, e.Seq, 0, dueAt(e))
	switch {
	case e.Kind == protocol.Kind_REACT && e.Removed:
		c.delete(k.deed(e, e.Reaction))
	case e.Kind == protocol.Kind_REACT:
		c.write(k.deed(e, e.Reaction), number(e.Seq))
	case e.Kind == protocol.Kind_ANSWER:
		c.write(k.deed(e, e.Answer), number(e.Seq))
	}
}

func (c *committer) moveDue(k sessionKey, seq, from, to int64) {
	if from == to {
		return
	}
	if from != 0 {
		c.delete(k.due(from, seq))
	}
	if to != 0 {
		c.write(k.due(to, seq), nil)
	}
}

// writeMembers ends rows first, then writes rows: a member who leaves and comes
// back in one Append is in. Marks outlive membership, as they never go back.
func (c *committer) writeMembers(k sessionKey, h *head, a *actors.Append) error {
	for _, user := range a.Removed {
		_, found, err := c.get(k.member(user))
		if err != nil {
			return err
		}
		if found {
			c.delete(k.member(user))
			c.delete(k.home(user))
			h.members--
		}
	}
	for _, m := range a.Members {
		_, found, err := c.get(k.member(m.User))
		if err != nil {
			return err
		}
		if !found {
			c.write(k.home(m.User), nil)
			h.members++
		}
		c.put(k.member(m.User), memberRow(m))
	}
	return nil
}

func (c *committer) writeMarks(k sessionKey, marks []actors.Mark) error {
	for _, m := range marks {
		if _, err := c.raise(k.read(m.User), m.ReadSeq); err != nil {
			return err
		}
		first, err := c.raise(k.recv(m.User, m.Device), m.RecvSeq)
		if err == nil && first {
			err = c.spareDevices(k, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// raise writes n into a row that holds a number, unless that is as high already.
// first: there was no row.
func (c *committer) raise(key []byte, n int64) (first bool, err error) {
	if n <= 0 {
		return false, nil
	}
	row, found, err := c.get(key)
	if err != nil {
		return false, err
	}
	if found {
		if now, err := parseNumber(row); err != nil || now >= n {
			return false, err
		}
	}
	c.put(key, number(n))
	return !found, nil
}

// spareDevices lets go of the lowest of a user's received marks when a new device's
// makes them more than actors.MaxDevices. Of several in one commit it sees the last
// commit's, so that there may be some more until the next.
func (c *committer) spareDevices(k sessionKey, m actors.Mark) error {
	type mark struct {
		key []byte
		seq int64
	}
	var all []mark
	err := c.scanPrefix(k.recv(m.User, ""), func(key, value []byte) error {
		n, err := parseNumber(value)
		all = append(all, mark{bytes.Clone(key), n})
		return err
	})
	if err != nil || len(all) < actors.MaxDevices {
		return err
	}
	slices.SortFunc(all, func(a, b mark) int { return cmp.Compare(a.seq, b.seq) })
	for _, old := range all[:len(all)-actors.MaxDevices+1] {
		c.delete(old.key)
	}
	return nil
}
