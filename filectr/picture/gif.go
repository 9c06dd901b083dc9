package picture

import "encoding/binary"

// cleanGIF leaves frames, how long they are shown, and how often all of it is (GIF89a;
// the loop is an application extension). Comments, texts and others' extensions go.
func cleanGIF(in []byte) (h head, out []byte, err error) {
	h = head{orientation: 1}
	if len(in) < 13 {
		return h, nil, errCut
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(in[6:])), int(binary.LittleEndian.Uint16(in[8:]))
	at := 13 + colours(in[10])
	if at > len(in) {
		return h, nil, errCut
	}
	out = append(make([]byte, 0, len(in)), in[:at]...)
	for {
		if at >= len(in) {
			return h, nil, errCut
		}
		start := at
		keep := true
		switch in[at] {
		case 0x3b:
			return h, append(out, 0x3b), nil
		case 0x21:
			if at+3 > len(in) {
				return h, nil, errCut
			}
			switch label := in[at+1]; label {
			case 0xf9:
			case 0xff:
				keep = at+14 <= len(in) && (string(in[at+3:at+14]) == "NETSCAPE2.0" || string(in[at+3:at+14]) == "ANIMEXTS1.0")
			default:
				keep = false
			}
			at += 2
		case 0x2c:
			h.frames++
			if h.frames > MaxFrames {
				return h, nil, errFrames
			}
			if at+11 > len(in) {
				return h, nil, errCut
			}
			at += 10 + colours(in[at+9]) + 1
		default:
			return h, nil, errCut
		}
		for { // sub-blocks, up to an empty one
			if at >= len(in) {
				return h, nil, errCut
			}
			n := int(in[at])
			if at += 1 + n; n == 0 {
				break
			}
		}
		if keep {
			out = append(out, in[start:at]...)
		}
	}
}

// colours is the bytes of the colour table that packed flags announce.
func colours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}
