package pebblestore

import (
	"encoding/binary"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Commit fills actors.Journal. With little disk space left, every Append is
// refused with protocol.Code_BUSY: that is a definite answer.
func (s *Store) Commit(batch []*actors.Append) error {
	if err := s.roomy(); err != nil {
		for _, a := range batch {
			a.Err = err
		}
		return nil
	}
	t, err := s.begin()
	if err != nil {
		return err
	}
	defer t.abandon()
	c := committer{tx: t, commitRoom: commitRooms.Get().(*commitRoom)}
	defer c.free()
	for _, a := range batch {
		c.rewrites = c.rewrites || len(a.Rewrites) > 0
		c.looks = c.looks || !a.Vouched
	}
	for _, a := range batch {
		a.Err = nil
		err := c.append(a)
		var r refusal
		if errors.As(err, &r) {
			a.Err = r.error
		} else if err != nil {
			return err
		}
	}
	rows := c.writeHeads()
	s.hidden.hide(c.before, c.was)
	if err := t.commit(func() { s.heads.putAll(c.heads); s.late.put(c.heads, rows) }); err != nil {
		return err
	}
	s.hidden.show(c.heads, c.was)
	c.tellFull()
	return nil
}

// refusal is why one Append is not written; other errors end the whole commit.
type refusal struct{ error }

// committer writes Appends into one change, each as a whole or not at all.
type committer struct {
	*tx
	*commitRoom
	was      rewritten    // rows of older entries that are rewritten
	stirred  []sessionKey // sessions with a full block whose words are others now
	rewrites bool         // an Append of the batch rewrites: entries must be found before they are applied
	looks    bool         // an Append of the batch looks for client message ids: the same
}

// commitRoom is what a commit works in. Later ones use it again.
type commitRoom struct {
	heads   map[sessionKey]head // of sessions changed so far
	before  map[sessionKey]head // of the same, as they were
	rows    []byte              // of entries
	scratch []byte
}

var commitRooms = sync.Pool{New: func() any {
	return &commitRoom{heads: map[sessionKey]head{}, before: map[sessionKey]head{}}
}}

// free gives the room back, unless it is larger than most commits need.
func (c *committer) free() {
	const most = 1 << 20 // bytes of rows: some 4,000 messages
	if cap(c.rows) > most || len(c.heads) > most>>8 {
		return
	}
	clear(c.heads)
	clear(c.before)
	c.rows = c.rows[:0]
	commitRooms.Put(c.commitRoom)
}

func (c *committer) head(k sessionKey) (h head, found bool, err error) {
	if h, ok := c.heads[k]; ok {
		return h, true, nil
	}
	return c.s.head(k)
}

// append checks all of a, then writes all of it.
func (c *committer) append(a *actors.Append) error {
	k, ok := parseSession(a.Session)
	if !ok {
		return refusal{protocol.NotFound("session %s", a.Session)}
	}
	h, found, err := c.head(k)
	switch {
	case err != nil:
		return err
	case found && a.Create:
		return refusal{protocol.Conflict("session %s exists", a.Session)}
	case !found && !a.Create:
		return refusal{protocol.NotFound("session %s", a.Session)}
	case a.Create && a.Info == nil:
		return refusal{protocol.BadRequest("session %s is created without info", a.Session)}
	case found && a.Claim && (a.Epoch <= c.s.epochOf(h) || a.Head != h.last), found && !a.Claim && a.Epoch != c.s.epochOf(h):
		return refusal{actors.ErrStale}
	}
	if err := c.checkEntries(k, h, a); err != nil {
		return err
	}
	old, err := c.checkRewrites(k, h, a)
	if err != nil {
		return err
	}
	original, err := c.checkOriginal(k, a.Original)
	if err != nil {
		return err
	}
	rows, err := c.encode(a, old)
	if err != nil {
		return refusal{err}
	}
	contacts, err := c.checkContacts(a.Contacts)
	if err != nil {
		return err
	}
	// From here on nothing refuses.
	if a.Create {
		a.LogEpoch, a.Epoch = c.s.logEpoch, max(a.Epoch, c.s.epochFloor)
	}
	if _, again := c.heads[k]; !again {
		c.before[k] = h
	}
	h.epoch = a.Epoch
	for i, e := range a.Entries {
		c.writeEntry(k, e, rows.entries[i], sentAs(a, i))
		if e.Content.HasFiles() || e.Deal != nil {
			if err := c.referNew(k, e, original); err != nil {
				return err
			}
		}
		h.last = e.Seq
		if e.Shows() {
			h.message = e.Seq
		}
	}
	for i, e := range a.Rewrites {
		c.rewrite(k, e.Seq, old[i].row)
		c.put(k.entry(e.Seq), rows.rewrites[i])
		c.moveDue(k, e.Seq, dueAt(old[i].entry), dueAt(e))
		c.unsign(k, old[i].entry, e)
		if len(old[i].entry.Reactions) > 0 && (e.Recalled || e.Expired) {
			from := binary.BigEndian.AppendUint64(k.in(tableDeed, 8), uint64(e.Seq))
			_ = c.batch.DeleteRange(from, after(from), nil) // an error is impossible, as in delete
		}
		if err := c.referRewritten(k, old[i].entry, e, original); err != nil {
			return err
		}
	}
	c.writeOriginal(k, original)
	if err := c.writeMembers(k, &h, a); err != nil {
		return err
	}
	if err := c.writeMarks(k, a.Marks); err != nil {
		return err
	}
	if err := c.writeLinks(k, a); err != nil {
		return err
	}
	if a.Info != nil {
		if err := c.writeInfo(k, a.Info.Until, named(a.Info), rows.info); err != nil {
			return err
		}
	}
	c.writeContacts(contacts)
	c.heads[k] = h
	return nil
}

// encoded are an Append's rows, made before the first is written: what cannot be
// encoded (text that is not UTF-8) harms its own Append only.
type encoded struct {
	entries, rewrites [][]byte
	info              []byte
}

func (c *committer) encode(a *actors.Append, old []oldEntry) (r encoded, err error) {
	r.entries = make([][]byte, len(a.Entries))
	for i, e := range a.Entries {
		if r.entries[i], err = c.entryRow(e, sentAs(a, i).Hash); err != nil {
			return r, err
		}
	}
	r.rewrites = make([][]byte, len(a.Rewrites))
	for i, e := range a.Rewrites {
		if r.rewrites[i], err = c.entryRow(e, [8]byte(old[i].row[9:entryHeader])); err != nil {
			return r, err
		}
	}
	if a.Info != nil {
		r.info, err = infoRow(a.Info)
	}
	return r, err
}

// entryRow makes the row of e, which is good until the commit ends.
func (r *commitRoom) entryRow(e *protocol.Entry, hash [8]byte) (row []byte, err error) {
	from := len(r.rows)
	if r.rows, r.scratch, err = entryRow(r.rows, e, hash, r.scratch); err != nil {
		return nil, err
	}
	return r.rows[from:len(r.rows):len(r.rows)], nil
}

// checkEntries refuses entries that are not the next ones, or were sent before.
func (c *committer) checkEntries(k sessionKey, h head, a *actors.Append) error {
	for i, e := range a.Entries {
		if e.Seq != h.last+1+int64(i) {
			return refusal{actors.ErrTaken}
		}
	}
	if a.Vouched {
		return nil
	}
	var own map[[16]byte]actors.Sent
	for i, e := range a.Entries {
		if e.ClientMsgId == "" {
			continue
		}
		key := protocol.SentKey(e.Sender, e.ClientMsgId)
		if sent, ok := own[key]; ok {
			return refusal{&actors.DuplicateError{Sent: sent}}
		}
		row, found, err := c.get(k.sent(key))
		if err != nil {
			return err
		}
		if found {
			sent, err := parseSent(row)
			if err != nil {
				return err
			}
			return refusal{&actors.DuplicateError{Sent: sent}}
		}
		if own == nil {
			own = make(map[[16]byte]actors.Sent, len(a.Entries))
		}
		own[key] = sentAs(a, i)
	}
	return nil
}

func sentAs(a *actors.Append, i int) actors.Sent {
	sent := actors.Sent{Seq: a.Entries[i].Seq, CreatedAt: a.Entries[i].CreatedAt}
	if i < len(a.Hashes) {
		sent.Hash = a.Hashes[i]
	}
	return sent
}

type oldEntry struct {
	entry *protocol.Entry
	row   []byte
}

// checkRewrites finds what is rewritten, and refuses what is not there.
func (c *committer) checkRewrites(k sessionKey, h head, a *actors.Append) ([]oldEntry, error) {
	if len(a.Rewrites) == 0 {
		return nil, nil
	}
	old := make([]oldEntry, len(a.Rewrites))
	for i, e := range a.Rewrites {
		key := k.entry(e.Seq)
		row, found, err := c.get(key)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, refusal{protocol.NotFound("entry %d of session %s", e.Seq, a.Session)}
		}
		entry, err := parseEntry(a.Session, key, row)
		if err != nil {
			return nil, c.s.bad(key, err)
		}
		old[i] = oldEntry{entry, row}
	}
	return old, nil
}

// rewrite notes the row that an entry had before this commit.
func (c *committer) rewrite(k sessionKey, seq int64, row []byte) {
	if seq > c.before[k].last {
		return // new in this commit: nobody sees it yet
	}
	if c.was == nil {
		c.was = rewritten{}
	}
	if c.was[k] == nil {
		c.was[k] = map[int64][]byte{}
	}
	if _, again := c.was[k][seq]; !again {
		c.was[k][seq] = row
	}
}

// infoRow leaves out what other rows say.
func infoRow(info *protocol.SessionInfo) ([]byte, error) {
	kept := proto.CloneOf(info)
	kept.Members, kept.MemberCount, kept.HeadSeq, kept.Epoch = nil, 0, 0, ""
	return proto.Marshal(kept)
}
