package picture

import (
	"bytes"
	"encoding/binary"
)

// JPEG markers (ITU-T T.81, table B.1).
const (
	soi, eoi, sos = 0xd8, 0xd9, 0xda
	app0, app1    = 0xe0, 0xe1
	app2, app14   = 0xe2, 0xee
	com           = 0xfe
)

// segments calls each with the segments of a JPEG in front of and behind its scans: a
// marker and what belongs to it, marker included. Scans come with their sos. What
// stands behind the end is not there.
func segments(in []byte, each func(marker byte, whole, body []byte)) error {
	if len(in) < 4 || in[0] != 0xff || in[1] != soi {
		return errCut
	}
	each(soi, in[:2], nil)
	for at := 2; ; {
		if at+2 > len(in) || in[at] != 0xff {
			return errCut
		}
		for at+2 < len(in) && in[at+1] == 0xff { // fill bytes
			at++
		}
		marker := in[at+1]
		if marker == eoi {
			each(eoi, in[at:at+2], nil)
			return nil
		}
		if marker < 0xc0 || marker >= 0xd0 && marker <= 0xd8 || at+4 > len(in) {
			return errCut
		}
		end := at + 2 + int(binary.BigEndian.Uint16(in[at+2:]))
		if end < at+4 || end > len(in) {
			return errCut
		}
		body := in[at+4 : end]
		if marker == sos { // entropy-coded bytes: up to a marker that is no restart
			for end+1 < len(in) && (in[end] != 0xff || in[end+1] == 0 || in[end+1] >= 0xd0 && in[end+1] <= 0xd7) {
				end++
			}
			if end+1 >= len(in) {
				return errCut
			}
		}
		each(marker, in[at:end], body)
		at = end
	}
}

// cleanJPEG leaves what decodes the picture, its colour profile, and Adobe's note on
// how its colours are transformed. Pixels stay as they are.
func cleanJPEG(in []byte) (h head, out []byte, err error) {
	h = head{frames: 1, orientation: 1}
	out = make([]byte, 0, len(in))
	err = segments(in, func(marker byte, whole, body []byte) {
		switch {
		case marker == app0:
			if bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14 { // without its small picture
				out = append(out, 0xff, app0, 0, 16)
				out = append(append(out, body[:12]...), 0, 0)
			}
			return
		case marker == app1:
			if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok {
				h.orientation = orientation(tiff)
			}
			return
		case marker == app2 && !isICC(body), marker == com, marker > app2 && marker <= 0xef && marker != app14:
			return
		case marker == app14 && (!bytes.HasPrefix(body, []byte("Adobe")) || len(body) != 12):
			return
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc && len(body) >= 5: // a frame
			h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
		}
		out = append(out, whole...)
	})
	return h, out, err
}

func isICC(body []byte) bool { return bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")) }

// withProfile gives the JPEG to the colour profile of the JPEG from, unless that has
// four colours, which ours have not, or the profile has more than most bytes.
func withProfile(to, from []byte, most int) []byte {
	var profile []byte
	four := false
	err := segments(from, func(marker byte, whole, body []byte) {
		switch {
		case marker == app2 && isICC(body):
			profile = append(profile, whole...)
		case marker >= 0xc0 && marker <= 0xc2 && len(body) >= 6:
			four = body[5] == 4
		}
	})
	if err != nil || four || len(profile) == 0 || len(profile) > most {
		return to
	}
	return append(append(append([]byte{}, to[:2]...), profile...), to[2:]...)
}

// orientation reads tag 0x0112 of a TIFF structure's first directory (TIFF 6.0; EXIF
// keeps it there): 1 to 8, and 1 where nothing good is said.
func orientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(tiff[:2]) == "MM" {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 1
	}
	for n := int64(order.Uint16(tiff[at:])); n > 0; n-- {
		entry := at + 2 + (n-1)*12
		if entry+12 > int64(len(tiff)) {
			continue
		}
		if order.Uint16(tiff[entry:]) == 0x0112 {
			if v := int(order.Uint16(tiff[entry+8:])); v >= 1 && v <= 8 {
				return v
			}
		}
	}
	return 1
}
