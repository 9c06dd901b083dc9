package scrub

import "math/bits"

// A Matroska or WebM file (RFC 9559) is elements: an id, a size, and what is in them.
// One that is to go becomes a Void element of its size, so nothing moves.
type element struct {
	id            uint32
	at, body, end int64
	unknown       bool // its size is not said: it ends where something begins that cannot be in it
}

// Ids of elements, with the bits that say how long they are.
const (
	ebml, segment, cluster                           = 0x1a45dfa3, 0x18538067, 0x1f43b675
	seekHead, info, tracks, cues, chapters           = 0x114d9b74, 0x1549a966, 0x1654ae6b, 0x1c53bb6b, 0x1043a770
	tags, attachments                                = 0x1254c367, 0x1941a469
	title, date, file, previousFile, nextFile, maker = 0x7ba9, 0x4461, 0x7384, 0x3c83ab, 0x3e83bb, 0x5741
	void, checksum                                   = 0xec, 0xbf
)

// element reads what begins at a place; false: nothing that can be read.
func (j *job) element(at, to int64) (e element, ok bool, err error) {
	if err := j.count(); err != nil {
		return e, false, err
	}
	h, err := j.head(at, 12)
	if err != nil || len(h) < 2 || at >= to {
		return e, false, err
	}
	n := bits.LeadingZeros8(h[0]) + 1
	if n > 4 || len(h) <= n {
		return e, false, nil
	}
	for _, b := range h[:n] {
		e.id = e.id<<8 | uint32(b)
	}
	l := bits.LeadingZeros8(h[n]) + 1
	if l > 8 || len(h) < n+l {
		return e, false, nil
	}
	size := uint64(h[n]) & (1<<(8-l) - 1)
	for _, b := range h[n+1 : n+l] {
		size = size<<8 | uint64(b)
	}
	e.at, e.body, e.end = at, at+int64(n+l), to
	if e.body > to {
		return e, false, nil
	}
	if size == 1<<(7*l)-1 {
		e.unknown = true
	} else if size < uint64(to-e.body) {
		e.end = e.body + int64(size)
	}
	return e, true, nil
}

func (j *job) matroska() error {
	seen := false
	for at := int64(0); at < j.size; {
		e, ok, err := j.element(at, j.size)
		if err != nil {
			return err
		}
		if seen && (!ok || e.id != ebml && e.id != segment) {
			return j.zero(at, j.size) // what no player reads
		}
		if !ok || e.unknown && e.id != segment {
			return nil
		}
		if at = e.end; e.id == segment {
			seen = !e.unknown
			if at, err = j.segment(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// segment cleans a segment, and gives the place behind it.
func (j *job) segment(s element) (int64, error) {
	for at := s.body; at < s.end; {
		e, ok, err := j.element(at, s.end)
		if !ok || err != nil {
			return s.end, err
		}
		at = e.end
		switch {
		case s.unknown && (e.id == ebml || e.id == segment):
			return e.at, nil
		case e.unknown && e.id == cluster:
			at, err = j.cluster(e)
		case e.unknown:
			return s.end, nil
		case e.id == tags, e.id == attachments, e.id == checksum:
			err = j.void(e)
		case e.id == void:
			err = j.zero(e.body, e.end)
		case e.id == info:
			err = j.info(e)
		}
		if err != nil {
			return s.end, err
		}
	}
	return s.end, nil
}

// cluster gives the place behind a cluster that does not say its size.
func (j *job) cluster(c element) (int64, error) {
	for at := c.body; at < c.end; {
		e, ok, err := j.element(at, c.end)
		if !ok || err != nil {
			return c.end, err
		}
		switch e.id {
		case ebml, segment, cluster, seekHead, info, tracks, cues, chapters, tags, attachments:
			return at, nil
		}
		if e.unknown {
			return c.end, nil
		}
		at = e.end
	}
	return c.end, nil
}

// info takes out when and as what a recording was made; its checksum would be wrong then.
func (j *job) info(i element) error {
	for at := i.body; at < i.end; {
		e, ok, err := j.element(at, i.end)
		if !ok || err != nil || e.unknown {
			return err
		}
		switch e.id {
		case title, date, file, previousFile, nextFile, checksum:
			err = j.void(e)
		case void, maker: // a text ends at its first zero
			err = j.zero(e.body, e.end)
		}
		if err != nil {
			return err
		}
		at = e.end
	}
	return nil
}

// void makes of an element room that is left free.
func (j *job) void(e element) error {
	all := uint64(e.end - e.at)
	h := []byte{void}
	for l := 1; l <= 8; l++ {
		n := all - 1 - uint64(l)
		if all < 1+uint64(l) || n >= 1<<(7*l)-1 {
			continue
		}
		n |= 1 << (7 * l)
		for s := l - 1; s >= 0; s-- {
			h = append(h, byte(n>>(8*s)))
		}
		break
	}
	if err := j.write(e.at, h); err != nil {
		return err
	}
	return j.zero(e.at+int64(len(h)), e.end)
}
