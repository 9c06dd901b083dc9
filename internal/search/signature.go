package search

import "encoding/binary"

// A signature is version 1, the time of the newest message in it 8, and a Bloom filter: five bits
// for each gram of the block's messages, in at least eight times as many as there are
// different grams, so that one in 45 that is not there seems to be. Of a block without one it is the first two alone.
const (
	signatureHead = 1 + 8
	bitsPerGram   = 8
	bitsSet       = 5
)

// signer makes signatures; it keeps its room from one to the next.
type signer struct {
	folder
	said  []uint64   // grams of one text
	seen  []uint64   // different grams of all texts
	table []uint64   // where they are by hash, 0: nobody; its length is a power of two
	plain asciiGrams // which grams of texts that are nothing but ASCII are among them
}

// add notes a gram.
func (s *signer) add(h uint64) {
	if 2*len(s.seen) >= len(s.table) {
		s.table = make([]uint64, max(4096, 2*len(s.table)))
		for _, h := range s.seen {
			s.put(h)
		}
	}
	if s.put(h) {
		s.seen = append(s.seen, h)
	}
}

func (s *signer) put(h uint64) (first bool) {
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			return true
		}
	}
}

func (s *signer) sign(messages []Message) []byte {
	s.seen = s.seen[:0]
	clear(s.table)
	s.plain = asciiGrams{}
	newest := int64(0)
	for _, m := range messages {
		newest = max(newest, m.CreatedAt)
		said(m.Content, func(_ field, text []byte) bool {
			if s.addASCII(text) {
				return true
			}
			s.fold(text, false)
			s.said = appendGrams(s.said[:0], s.text)
			for _, h := range s.said {
				s.add(h)
			}
			return true
		})
	}
	size := (len(s.seen)*bitsPerGram + 7) / 8
	out := make([]byte, signatureHead+size)
	out[0] = version
	binary.BigEndian.PutUint64(out[1:], uint64(newest))
	bits := out[signatureHead:]
	for _, h := range s.seen {
		places(h, len(bits)*8, func(at uint64) bool { bits[at/8] |= 1 << (at % 8); return true })
	}
	return out
}

// places calls each with the bits of a gram, until it returns false.
func places(h uint64, size int, each func(at uint64) bool) bool {
	step := h>>32 | 1
	for range bitsSet {
		if !each(h % uint64(size)) {
			return false
		}
		h += step<<17 | step
	}
	return true
}

// signed reads a signature: when its newest message was made, and whether all grams may
// be in it. Not ok is one that says nothing.
func signed(signature []byte, all []uint64) (newest int64, may, ok bool) {
	if len(signature) < signatureHead || signature[0] != version {
		return 0, true, false
	}
	newest = int64(binary.BigEndian.Uint64(signature[1:]))
	bits := signature[signatureHead:]
	if len(bits) == 0 {
		return newest, len(all) == 0 && newest > 0, true
	}
	for _, h := range all {
		if !places(h, len(bits)*8, func(at uint64) bool { return bits[at/8]&(1<<(at%8)) != 0 }) {
			return newest, false, true
		}
	}
	return newest, true, true
}
