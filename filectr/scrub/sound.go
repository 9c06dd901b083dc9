package scrub

import (
	"encoding/binary"
	"slices"
)

// mp3 makes zeros of what tags say: ID3v2 in front, which is padding then, and ID3v1
// and APE behind.
func (j *job) mp3() error {
	end := j.size
	for at := int64(0); ; { // some have more than one
		h, err := j.head(at, 10)
		if err != nil {
			return err
		}
		if len(h) < 10 || string(h[:3]) != "ID3" {
			break
		}
		if err := j.count(); err != nil {
			return err
		}
		body := at + 10
		at = body + int64(h[6]&0x7f)<<21 + int64(h[7]&0x7f)<<14 + int64(h[8]&0x7f)<<7 + int64(h[9]&0x7f)
		footer := h[5]&0x10 != 0
		if h[5] != 0 {
			if err := j.write(body-5, []byte{0}); err != nil {
				return err
			}
		}
		if footer {
			if err := j.zero(at, at+10); err != nil {
				return err
			}
			at += 10
		}
		if err := j.zero(body, at); err != nil {
			return err
		}
	}
	if h, err := j.head(end-128, 3); err != nil {
		return err
	} else if string(h) == "TAG" { // and nothing behind it, but for a kind of music
		if err := j.zero(end-125, end-1); err != nil {
			return err
		}
		end -= 128
		if h, err := j.head(end-227, 4); err != nil {
			return err
		} else if string(h) == "TAG+" {
			if err := j.zero(end-223, end); err != nil {
				return err
			}
			end -= 227
		}
	}
	h, err := j.head(end-32, 32)
	if err != nil || len(h) < 32 || string(h[:8]) != "APETAGEX" {
		return err
	}
	size := int64(binary.LittleEndian.Uint32(h[12:])) + 32 // a header besides, perhaps
	if from := end - size; size <= end {
		if h, err := j.head(from, 8); err != nil {
			return err
		} else if string(h) != "APETAGEX" {
			from += 32
		}
		return j.zero(from, end)
	}
	return nil
}

// inWave are the chunks of a WAV file that are sound, or needed for it.
var inWave = []string{"fmt ", "data", "fact", "cue ", "smpl", "inst", "PEAK", "plst", "slnt", "levl", "wavl"}

// wav makes JUNK of chunks that are not needed: kind 4, size 4 in little-endian.
func (j *job) wav() error {
	at := int64(12)
	for at+8 <= j.size {
		if err := j.count(); err != nil {
			return err
		}
		h, err := j.head(at, 8)
		if err != nil {
			return err
		}
		kind, size := string(h[:4]), int64(binary.LittleEndian.Uint32(h[4:]))
		body := at + 8
		end := min(body+size, j.size)
		if !printable(kind) || kind == "data" && size == 0 { // sound to its end, by who did not come to say so
			return nil
		}
		if !slices.Contains(inWave, kind) {
			if kind != "JUNK" {
				if err := j.write(at, []byte("JUNK")); err != nil {
					return err
				}
			}
			if err := j.zero(body, end); err != nil {
				return err
			}
		}
		at = end + end%2
	}
	return j.zero(at, j.size)
}

// Kinds of a FLAC file's blocks.
const flacPadding = 1

// flac makes padding of blocks that say something: last 1 bit, kind 7, size 3 bytes.
func (j *job) flac() error {
	for at := int64(4); ; {
		if err := j.count(); err != nil {
			return err
		}
		h, err := j.head(at, 4)
		if err != nil || len(h) < 4 {
			return err
		}
		first, kind := h[0], h[0]&0x7f
		body := at + 4
		at = body + int64(h[1])<<16 + int64(h[2])<<8 + int64(h[3])
		switch kind {
		case 0, 3, 5: // what the stream is, where to find what, tracks of a disc
		default:
			if kind != flacPadding {
				if err := j.write(body-4, []byte{first&0x80 | flacPadding}); err != nil {
					return err
				}
			}
			if err := j.zero(body, at); err != nil {
				return err
			}
		}
		if first&0x80 != 0 {
			return nil
		}
	}
}
