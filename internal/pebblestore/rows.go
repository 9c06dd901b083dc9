package pebblestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var errShort = errors.New("a row is shorter than its table's rows are")

// head is a session's row in tableHead, changed by every commit of the session.
type head struct {
	epoch   int64 // of the newest claim
	last    int64 // the newest seq
	message int64 // the newest seq of a message that shows, 0: none
	members int64 // how many
}

func (h head) row() []byte {
	b := make([]byte, 0, 32)
	for _, n := range [...]int64{h.epoch, h.last, h.message, h.members} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func parseHead(b []byte) (h head, err error) {
	if len(b) != 32 {
		return h, fmt.Errorf("head: %w", errShort)
	}
	for i, n := range [...]*int64{&h.epoch, &h.last, &h.message, &h.members} {
		*n = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	return h, nil
}

// An entry's row begins with what counting and deduplicating ask for, so that
// they scan without decoding: flags 1, hash of the sender 8, the Append's hash 8. Then
// the protobuf without session, seq and messagerecvId, as the key says them.
const entryHeader = 1 + 8 + 8

const (
	flagMessage  = 1 << iota // kind message
	flagRecalled             //
	flagExpired              //
	flagMentions             // mentions somebody
	flagSent                 // has a client message id
	flagQuiet                //
)

// counts is protocol.Entry.Counts of the entry with these flags.
func counts(flags byte) bool {
	return flags&(flagMessage|flagRecalled|flagExpired|flagQuiet) == flagMessage
}

func userHash(user protocol.UserID) [8]byte {
	sum := sha256.Sum256([]byte(user))
	return [8]byte(sum[:8])
}

// entryRow appends the row of e to rows. scratch may be nil and comes back for the next call.
func entryRow(rows []byte, e *protocol.Entry, hash [8]byte, scratch []byte) (with, again []byte, err error) {
	var flags byte
	if e.Kind == protocol.Kind_MESSAGE {
		flags |= flagMessage
	}
	if e.Recalled {
		flags |= flagRecalled
	}
	if e.Expired {
		flags |= flagExpired
	}
	if len(e.Mentions) > 0 {
		flags |= flagMentions
	}
	if e.ClientMsgId != "" {
		flags |= flagSent
	}
	if e.Quiet {
		flags |= flagQuiet
	}
	with = append(rows, flags)
	sender := userHash(e.Sender)
	with = append(with, sender[:]...)
	with = append(with, hash[:]...)
	if with, ok := appendText(with, e); ok {
		return with, scratch, nil
	}
	if with, scratch, err = appendProto(with, e, scratch); err != nil {
		return rows, scratch, err
	}
	return with, scratch, nil
}

// appendProto appends the protobuf of e without what its key says.
func appendProto(to []byte, e *protocol.Entry, scratch []byte) (with, again []byte, err error) {
	scratch, err = proto.MarshalOptions{}.MarshalAppend(scratch[:0], e)
	if err != nil {
		return to, scratch, fmt.Errorf("pebblestore: entry %s %d: %w", e.Session, e.Seq, err)
	}
	for b := scratch; len(b) > 0; {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return to, scratch, fmt.Errorf("pebblestore: entry %s %d: %w", e.Session, e.Seq, protowire.ParseError(n))
		}
		switch number {
		case 1, 2, 3: // session, seq, messagerecv_id
		default:
			to = append(to, b[:n]...)
		}
		b = b[n:]
	}
	return to, scratch, nil
}

// parseEntry makes the entry of a key and its row.
func parseEntry(session protocol.SessionID, key, row []byte) (*protocol.Entry, error) {
	if len(row) < entryHeader {
		return nil, fmt.Errorf("entry: %w", errShort)
	}
	e := &protocol.Entry{}
	if err := proto.Unmarshal(row[entryHeader:], e); err != nil {
		return nil, err
	}
	e.Session, e.Seq = session, seqOf(key)
	e.MessagerecvId = protocol.MessageID(session, e.Seq)
	return e, nil
}

// seqOf reads the seq that the key of an entry ends with.
func seqOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[len(key)-8:])) }

// sentOf reads from an entry's row what a deduplicating activation wants to
// know of it, without decoding the rest: some 0.2 µs instead of 1.5.
func sentOf(row []byte) (key [16]byte, createdAt int64, hash [8]byte, err error) {
	copy(hash[:], row[9:entryHeader])
	var sender, id []byte
	for b := row[entryHeader:]; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return key, 0, hash, protowire.ParseError(n)
		}
		b = b[n:]
		switch number {
		case 5, 6: // sender, client_msg_id
			var v []byte
			if v, n = protowire.ConsumeBytes(b); number == 5 {
				sender = v
			} else {
				id = v
			}
		case 8: // created_at
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			createdAt = int64(v)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return key, 0, hash, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return protocol.SentKey(string(sender), string(id)), createdAt, hash, nil
}

func sentRow(s actors.Sent) []byte {
	b := make([]byte, 0, 24)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(s.CreatedAt))
	return append(b, s.Hash[:]...)
}

func parseSent(b []byte) (s actors.Sent, err error) {
	if len(b) != 24 {
		return s, fmt.Errorf("sent: %w", errShort)
	}
	s.Seq = int64(binary.BigEndian.Uint64(b))
	s.CreatedAt = int64(binary.BigEndian.Uint64(b[8:]))
	copy(s.Hash[:], b[16:])
	return s, nil
}

// Flags of a member's row.
const (
	flagSticky = 1 << iota
	flagMuted
	flagSilenced
)

// memberRow is flags 1, then role, order, joined at, floor and, where the flags say
// so, silenced until as varints, then the inviter.
func memberRow(m *actors.MemberRow) []byte {
	var flags byte
	if m.Sticky {
		flags |= flagSticky
	}
	if m.Muted {
		flags |= flagMuted
	}
	if m.SilencedUntil != 0 {
		flags |= flagSilenced
	}
	b := append(make([]byte, 0, 24+len(m.Inviter)), flags)
	for _, n := range [...]int64{int64(m.Role), m.Order, m.JoinedAt, m.Floor} {
		b = binary.AppendVarint(b, n)
	}
	if m.SilencedUntil != 0 {
		b = binary.AppendVarint(b, m.SilencedUntil)
	}
	return append(b, m.Inviter...)
}

func parseMember(user protocol.UserID, b []byte) (*actors.MemberRow, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("member: %w", errShort)
	}
	m := &actors.MemberRow{User: user, Sticky: b[0]&flagSticky != 0, Muted: b[0]&flagMuted != 0}
	var role int64
	fields := [...]*int64{&role, &m.Order, &m.JoinedAt, &m.Floor, &m.SilencedUntil}
	said := fields[:4]
	if b[0]&flagSilenced != 0 {
		said = fields[:]
	}
	b = b[1:]
	for _, to := range said {
		v, n := binary.Varint(b)
		if n <= 0 {
			return nil, fmt.Errorf("member: %w", errShort)
		}
		*to, b = v, b[n:]
	}
	m.Role, m.Inviter = protocol.Role(role), string(b)
	return m, nil
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func parseNumber(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("number: %w", errShort)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// dueAt is the time in Unix milliseconds at which e expires by itself, 0: never
// (again: a recalled message has nothing left that could expire).
func dueAt(e *protocol.Entry) int64 {
	if e.Kind != protocol.Kind_MESSAGE || e.Expire <= 0 || e.Expired || e.Recalled {
		return 0
	}
	return e.CreatedAt + e.Expire*1000
}
