package sound

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/pion/opus"
)

// Opus counts samples of 48 kHz, whatever it was made of (RFC 7845, section 4).
const opusRate = 48_000

// decodedRate is what peaks are taken of; loudness needs no more.
const decodedRate = 16_000

// oggOpus measures the first Opus stream of an Ogg file (RFC 3533, RFC 7845): its
// duration by the positions of its pages, its peaks by decoding it.
func oggOpus(in []byte) (r Result, err error) {
	s, err := stream(in)
	if err != nil {
		return r, err
	}
	if len(s.packets) < 2 || !bytes.HasPrefix(s.packets[0], []byte("OpusHead")) || len(s.packets[0]) < 19 {
		return r, errDamaged
	}
	head := s.packets[0]
	channels, skip := int(head[9]), int64(binary.LittleEndian.Uint16(head[10:]))
	if s.last < 0 {
		return r, errDamaged
	}
	r.Duration = time.Duration(max(0, s.last-skip)) * time.Second / opusRate
	if channels < 1 || channels > 2 || head[18] != 0 || r.Duration > longest || r.Duration == 0 {
		return r, nil
	}
	d, err := opus.NewDecoderWithOutput(decodedRate, 1)
	if err != nil {
		return r, err
	}
	skip = skip * decodedRate / opusRate
	m := meter{samples: int64(r.Duration) * decodedRate / int64(time.Second)}
	out := make([]float32, decodedRate*120/1000) // the longest packet has 120 ms
	bad := 0
	for _, packet := range s.packets[2:] {
		n, err := d.DecodeToFloat32(packet, out)
		if err != nil {
			bad++
			continue
		}
		for _, x := range out[:n] {
			if skip--; skip < 0 && m.seen < m.samples {
				m.add(float64(x))
			}
		}
	}
	if bad*10 <= len(s.packets) && m.seen > 0 {
		r.Peaks = m.bytes()
	}
	return r, nil
}

// ogg is one logical stream.
type ogg struct {
	packets [][]byte
	last    int64 // the position that its last page ends at, -1: none
}

// stream gives the packets of the first stream of an Ogg file.
func stream(in []byte) (s ogg, err error) {
	s.last = -1
	var serial uint32
	var open []byte // a packet that goes on in the next page
	first := true
	for len(in) > 0 {
		if len(in) < 27 || string(in[:4]) != "OggS" {
			if first {
				return s, errDamaged
			}
			return s, nil // what came up to here is what there is
		}
		segments := int(in[26])
		if len(in) < 27+segments {
			return s, nil
		}
		table, body := in[27:27+segments], in[27+segments:]
		size := 0
		for _, n := range table {
			size += int(n)
		}
		if len(body) < size {
			return s, nil
		}
		page := in[:27]
		in = body[size:]
		number := binary.LittleEndian.Uint32(page[14:])
		if first {
			serial, first = number, false
		}
		if number != serial {
			continue
		}
		if at := int64(binary.LittleEndian.Uint64(page[6:])); at >= 0 {
			s.last = at
		}
		for _, n := range table {
			open = append(open, body[:n]...)
			body = body[n:]
			if n < 255 {
				s.packets = append(s.packets, open)
				open = nil
			}
		}
	}
	return s, nil
}
