package picture

import (
	"encoding/binary"
	"image"
	"image/draw"
)

// keptWebP are the chunks of a picture, its colours and its movement (RFC 9649).
var keptWebP = map[string]bool{"VP8X": true, "VP8 ": true, "VP8L": true, "ALPH": true, "ANIM": true, "ANMF": true, "ICCP": true}

// chunks calls each with the chunks of a RIFF body.
func chunks(in []byte, each func(name string, whole, body []byte) error) error {
	for at := 0; at < len(in); {
		if at+8 > len(in) {
			return errCut
		}
		size := int64(binary.LittleEndian.Uint32(in[at+4:]))
		if size > int64(len(in)-at-8) {
			return errCut
		}
		end := at + 8 + int(size)
		padded := min(end+int(size&1), len(in))
		if err := each(string(in[at:at+4]), in[at:padded], in[at+8:end]); err != nil {
			return err
		}
		at = padded
	}
	return nil
}

func cleanWebP(in []byte) (h head, out []byte, err error) {
	h = head{orientation: 1}
	if len(in) < 20 {
		return h, nil, errCut
	}
	size := int64(binary.LittleEndian.Uint32(in[4:]))
	if size < 4 || size > int64(len(in)-8) {
		return h, nil, errCut
	}
	out = append(make([]byte, 0, len(in)), in[:12]...)
	still := head{}
	err = chunks(in[12:8+size], func(name string, whole, body []byte) error {
		switch name {
		case "VP8X":
			if len(body) < 10 {
				return errCut
			}
			h.width, h.height = 1+uint24(body[4:]), 1+uint24(body[7:])
			flags := len(out) + 8
			out = append(out, whole...)
			out[flags] &^= 0x08 | 0x04 // EXIF, XMP
			return nil
		case "VP8 ":
			if len(body) < 10 {
				return errCut
			}
			still.width, still.height = int(binary.LittleEndian.Uint16(body[6:]))&0x3fff, int(binary.LittleEndian.Uint16(body[8:]))&0x3fff
		case "VP8L":
			if len(body) < 5 {
				return errCut
			}
			bits := binary.LittleEndian.Uint32(body[1:])
			still.width, still.height = 1+int(bits&0x3fff), 1+int(bits>>14&0x3fff)
		case "ANMF":
			h.frames++
			if h.frames > MaxFrames {
				return errFrames
			}
		case "EXIF":
			h.orientation = orientation(exif(body))
		}
		if keptWebP[name] {
			out = append(out, whole...)
		}
		return nil
	})
	if err != nil {
		return h, nil, err
	}
	if h.frames == 0 { // what is decoded is the still picture, whatever VP8X says
		h.width, h.height, h.frames = max(h.width, still.width), max(h.height, still.height), 1
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return h, out, nil
}

// exif is a TIFF structure, which some writers begin as in a JPEG.
func exif(body []byte) []byte {
	if len(body) > 6 && string(body[:6]) == "Exif\x00\x00" {
		return body[6:]
	}
	return body
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// firstFrame makes a still picture of a moving one's first frame, and says where on
// the canvas it belongs.
func firstFrame(in []byte) (still []byte, at image.Point, canvas image.Point, ok bool) {
	const header = 16 // of a frame: x, y, width, height of 3 each, duration 3, flags 1
	chunks(in[12:], func(name string, whole, body []byte) error {
		switch {
		case name == "VP8X" && len(body) >= 10:
			canvas = image.Pt(1+uint24(body[4:]), 1+uint24(body[7:]))
		case name == "ANMF" && len(body) > header && !ok:
			ok = true
			at = image.Pt(2*uint24(body), 2*uint24(body[3:]))
			still = []byte("RIFF\x00\x00\x00\x00WEBP")
			extended := append([]byte("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), body[6:12]...)
			frame := body[header:]
			chunks(frame, func(name string, whole, body []byte) error {
				switch name {
				case "ALPH":
					extended[8] |= 0x10
					still = append(append(still, extended...), whole...)
				case "VP8 ", "VP8L":
					still = append(still, whole...)
				}
				return nil
			})
			binary.LittleEndian.PutUint32(still[4:], uint32(len(still)-8))
		}
		return nil
	})
	return still, at, canvas, ok
}

// onto puts a frame on its canvas.
func onto(m image.Image, at, canvas image.Point) image.Image {
	whole := image.NewNRGBA(image.Rectangle{Max: canvas})
	draw.Draw(whole, m.Bounds().Sub(m.Bounds().Min).Add(at), m, m.Bounds().Min, draw.Src)
	return whole
}
