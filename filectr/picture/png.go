package picture

import (
	"encoding/binary"
)

// keptPNG are the chunks that make the picture, its colours, its size on paper and its
// movement (PNG third edition, section 5.6). Text, times, EXIF and what nobody has
// heard of are not among them.
var keptPNG = map[string]bool{
	"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true, "tRNS": true,
	"gAMA": true, "cHRM": true, "sRGB": true, "iCCP": true, "cICP": true, "sBIT": true, "bKGD": true, "pHYs": true,
	"acTL": true, "fcTL": true, "fdAT": true,
}

func cleanPNG(in []byte) (h head, out []byte, err error) {
	h = head{frames: 1, orientation: 1}
	moving := 0
	if len(in) < 8 {
		return h, nil, errCut
	}
	out = append(make([]byte, 0, len(in)), in[:8]...)
	for at := 8; ; {
		if at+12 > len(in) {
			return h, nil, errCut
		}
		size := int64(binary.BigEndian.Uint32(in[at:]))
		if size > int64(len(in)-at-12) {
			return h, nil, errCut
		}
		end := at + 12 + int(size)
		name, body := string(in[at+4:at+8]), in[at+8:end-4]
		switch {
		case name == "IHDR" && len(body) >= 8 && at == 8:
			w, y := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			if w > 1<<30 || y > 1<<30 {
				return h, nil, errSides
			}
			h.width, h.height = int(w), int(y)
		case at == 8:
			return h, nil, errCut
		case name == "acTL" && len(body) >= 4:
			h.frames = max(h.frames, int(min(binary.BigEndian.Uint32(body), 1<<20)))
		case name == "fcTL": // some count these, whatever acTL says
			if moving++; moving > h.frames {
				h.frames = moving
			}
			if moving > MaxFrames {
				return h, nil, errFrames
			}
		case name == "eXIf":
			h.orientation = orientation(body)
		}
		if keptPNG[name] {
			out = append(out, in[at:end]...)
		}
		if at = end; name == "IEND" {
			return h, out, nil
		}
	}
}
