package scrub

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// An ISO base media file (ISO/IEC 14496-12: MP4, QuickTime, 3GPP) is boxes: size 4,
// kind 4, and what is in them. Media data are found by their place in the file, so a box
// is never moved; one that is to go becomes a free box of its size.
type box struct {
	at, body, end int64
	kind          string
}

// boxes calls each with the boxes between two places, and gives the place behind the
// last one that could be read.
func (j *job) boxes(from, to int64, each func(b box) error) (end int64, err error) {
	at := from
	for at+8 <= to {
		if j.boxed++; j.boxed > maxBoxes {
			return at, &Refused{fmt.Sprintf("the file has more than %d boxes", maxBoxes)}
		}
		h, err := j.head(at, 16)
		if err != nil || len(h) < 8 {
			return at, err
		}
		b := box{at: at, body: at + 8, kind: string(h[4:8])}
		size := uint64(binary.BigEndian.Uint32(h))
		switch {
		case size == 0: // as far as what it is in
			size = uint64(to - at)
		case size == 1 && len(h) == 16:
			size, b.body = binary.BigEndian.Uint64(h[8:]), at+16
		}
		if size < uint64(b.body-at) || b.body > to {
			return at, nil
		}
		b.end = to
		if size < uint64(to-at) {
			b.end = at + int64(size)
		}
		if err := each(b); err != nil {
			return at, err
		}
		at = b.end
	}
	return at, nil
}

// What may stay, by what it is in. All else goes: udta, meta, uuid and what makers of
// cameras have thought of.
var (
	inFile     = []string{"ftyp", "styp", "moov", "moof", "mdat", "imda", "mfra", "sidx", "ssix", "pdin"}
	inMovie    = []string{"mvhd", "trak", "mvex", "iods", "pssh", "clip", "ctab"}
	inTrack    = []string{"tkhd", "edts", "mdia", "tref", "trgr", "tapt", "clip", "matt", "load", "imap"}
	inMedia    = []string{"mdhd", "hdlr", "minf", "elng"}
	inFragment = []string{"mfhd", "traf", "pssh"}
	inRun      = []string{"tfhd", "trun", "tfdt", "sdtp", "sbgp", "sgpd", "subs", "saiz", "saio", "senc"}
)

// functional are kinds of uuid boxes that players need: of protected streams, of streams
// in pieces, and of pictures all around.
var functional = []string{
	"\xa2\x39\x4f\x52\x5a\x9b\x4f\x14\xa2\x44\x6c\x42\x7c\x64\x8d\xf4", "\xd0\x8a\x4f\x18\x10\xf3\x4a\x82\xb6\xc8\x32\xd8\xab\xa1\x83\xd3",
	"\x6d\x1d\x9b\x05\x42\xd5\x44\xe6\x80\xe2\x14\x1d\xaf\xf7\x57\xb2", "\xd4\x80\x7e\xf2\xca\x39\x46\x95\x8e\x54\x26\xcb\x9e\x46\xa7\x9f",
	"\xff\xcc\x82\x63\xf8\x55\x4a\x93\x88\x14\x58\x7a\x02\x52\x1f\xdd",
}

// handlers are of tracks that stay: pictures, sound, and what is read while they play.
// Others carry what a camera measured meanwhile, like its position once a second.
var handlers = []string{"vide", "soun", "auxv", "pict", "subt", "sbtl", "subp", "text", "clcp", "tmcd", "hint", "odsm", "sdsm"}

// sieve keeps a box that may stay, and makes free room of it otherwise.
func (j *job) sieve(b box, may []string) (stays bool, err error) {
	switch {
	case slices.Contains(may, b.kind):
		return true, nil
	case b.kind == "free", b.kind == "skip", b.kind == "wide": // cameras write into these too
		return false, j.zero(b.body, b.end)
	case b.kind == "uuid":
		id, err := j.head(b.body, 16)
		if err != nil || slices.Contains(functional, string(id)) {
			return false, err
		}
	}
	return false, j.free(b)
}

func (j *job) free(b box) error {
	if err := j.write(b.at+4, []byte("free")); err != nil {
		return err
	}
	return j.zero(b.body, b.end)
}

// movie is what was seen of a file.
type movie struct {
	job     *job
	data    []box    // mdat, in order
	dropped []uint32 // ids of tracks that went
	header  bool     // there is a moov
	media   bool     // and a mdat with something in it
}

func (j *job) iso() error {
	m := &movie{job: j}
	end, err := j.boxes(0, j.size, func(b box) error {
		switch b.kind {
		case "mdat", "imda":
			m.data = append(m.data, b)
			m.media = m.media || b.end > b.body
		case "moov":
			m.header = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	whole := m.header && m.media
	_, err = j.boxes(0, end, func(b box) error {
		if !whole && !printable(b.kind) {
			return nil // a recording that broke off: media data that no box says to be
		}
		stays, err := j.sieve(b, inFile)
		if !stays || err != nil {
			return err
		}
		switch b.kind {
		case "moov":
			return j.within(b, inMovie, m.inMovie)
		case "moof":
			return j.within(b, inFragment, m.inFragment)
		}
		return nil
	})
	if err == nil && whole {
		err = j.zero(end, j.size) // what no player reads
	}
	return err
}

func printable(kind string) bool {
	for _, c := range []byte(kind) {
		if c != 0xa9 && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

// within sieves the boxes of a box, and calls each with those that stay.
func (j *job) within(outer box, may []string, each func(b box) error) error {
	_, err := j.boxes(outer.body, outer.end, func(b box) error {
		if b.kind == "cmov" {
			return &Refused{"the movie's header is compressed, so that what it says of where it was taken cannot be removed"}
		}
		stays, err := j.sieve(b, may)
		if stays && err == nil {
			err = each(b)
		}
		return err
	})
	return err
}

func (m *movie) inMovie(b box) error {
	switch b.kind {
	case "mvhd":
		return m.job.untime(b)
	case "trak":
		return m.track(b)
	}
	return nil
}

func (m *movie) inFragment(b box) error {
	if b.kind != "traf" {
		return nil
	}
	j, of := m.job, uint32(0)
	if _, err := j.boxes(b.body, b.end, func(b box) error {
		if b.kind != "tfhd" {
			return nil
		}
		h, err := j.head(b.body, 8)
		if len(h) == 8 {
			of = binary.BigEndian.Uint32(h[4:])
		}
		return err
	}); err != nil {
		return err
	}
	if slices.Contains(m.dropped, of) {
		return j.free(b)
	}
	return j.within(b, inRun, func(box) error { return nil })
}

// untime takes out when a header's movie, track or media were made: its first two
// fields behind version 1 and flags 3, of 4 bytes each, or of 8 in version 1.
func (j *job) untime(b box) error {
	h, err := j.head(b.body, 4)
	if err != nil || len(h) < 4 {
		return err
	}
	width := int64(4)
	if h[0] == 1 {
		width = 8
	}
	return j.zero(b.body+4, min(b.body+4+2*width, b.end))
}

// track cleans a track, or ends one that carries what was measured.
func (m *movie) track(trak box) error {
	j := m.job
	var id uint32
	var handler string
	var tables []box
	_, err := j.boxes(trak.body, trak.end, func(b box) error {
		switch b.kind {
		case "tkhd":
			h, err := j.head(b.body, 24)
			if len(h) == 24 {
				id = binary.BigEndian.Uint32(h[12:])
				if h[0] == 1 {
					id = binary.BigEndian.Uint32(h[20:])
				}
			}
			return err
		case "mdia":
			_, err := j.boxes(b.body, b.end, func(b box) error {
				switch b.kind {
				case "hdlr":
					h, err := j.head(b.body, 12)
					if len(h) == 12 && handler == "" {
						handler = string(h[8:12])
					}
					return err
				case "minf":
					_, err := j.boxes(b.body, b.end, func(b box) error {
						if b.kind == "stbl" {
							tables = append(tables, b)
						}
						return nil
					})
					return err
				}
				return nil
			})
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if handler != "" && !slices.Contains(handlers, handler) {
		m.dropped = append(m.dropped, id)
		for _, b := range tables {
			if err := m.samples(b); err != nil {
				return err
			}
		}
		return j.free(trak)
	}
	return j.within(trak, inTrack, func(b box) error {
		switch b.kind {
		case "tkhd":
			return j.untime(b)
		case "mdia":
			return j.within(b, inMedia, func(b box) error {
				switch b.kind {
				case "mdhd":
					return j.untime(b)
				case "hdlr": // version 4, 4, kind 4, 12, and the name that a maker gave it
					return j.zero(b.body+24, b.end)
				}
				return nil
			})
		}
		return nil
	})
}

// samples makes zeros of a track's samples: chunks lie where stco or co64 says, have as
// many samples as stsc says, of the sizes in stsz.
func (m *movie) samples(stbl box) error {
	j := m.job
	var sizes, runs, chunks *table
	var each uint64 // bytes of all samples alike; 0: sizes has them
	width, place := 4, 4
	_, err := j.boxes(stbl.body, stbl.end, func(b box) error {
		switch b.kind {
		case "stsz", "stz2":
			h, err := j.head(b.body, 12)
			if err != nil || len(h) < 12 {
				return err
			}
			if sizes = j.table(b.body+12, b.end); b.kind == "stsz" {
				each = uint64(binary.BigEndian.Uint32(h[4:]))
			} else if width = int(h[7]) / 8; width != 1 && width != 2 {
				return &Refused{"a track of what was measured is packed in a way that is not known"}
			}
		case "stsc":
			runs = j.table(b.body+8, b.end)
		case "stco":
			chunks = j.table(b.body+8, b.end)
		case "co64":
			chunks, place = j.table(b.body+8, b.end), 8
		}
		return nil
	})
	if err != nil || sizes == nil || runs == nil || chunks == nil {
		return err
	}
	var perChunk uint64
	next, more := runs.next(4)
	for i := uint64(1); ; i++ {
		at, ok := chunks.next(place)
		if !ok {
			return nil
		}
		for more && next <= i {
			perChunk, _ = runs.next(4)
			runs.next(4) // how they are described
			next, more = runs.next(4)
		}
		var n uint64
		if each > 0 {
			n = each * perChunk // of two numbers of 32 bits
		} else {
			for range perChunk {
				if err := j.count(); err != nil {
					return err
				}
				size, ok := sizes.next(width)
				if !ok {
					break
				}
				n += size
			}
		}
		if err := m.forget(at, n); err != nil {
			return err
		}
		if err := j.count(); err != nil {
			return err
		}
	}
}

// forget makes zeros of n bytes from a place on, as far as they are media data.
func (m *movie) forget(at, n uint64) error {
	if at > uint64(m.job.size) {
		return nil
	}
	from := int64(at)
	i := sort.Search(len(m.data), func(i int) bool { return m.data[i].end > from })
	if i == len(m.data) || from < m.data[i].body {
		return nil
	}
	to := m.data[i].end
	if n < uint64(to-from) {
		to = from + int64(n)
	}
	return m.job.zero(from, to)
}
