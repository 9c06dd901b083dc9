package rows

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Tables of the file centre. A file in a key is the 28 characters of its id, a sum
// its 32 bytes, a session the bit of its id and its 10 bytes.
const (
	tableFile     = 0x70 // file → fileRow
	tableFiles    = 0x71 // user 0, file → nothing
	tableRoom     = 0x72 // user, "" is all of them → bytes 8 of files and reservations
	tableReserved = 0x73 // upload → reservedRow
	tableRefer    = 0x74 // file, session 11, seq 8 → nothing: this entry names the file
	tableTies     = 0x75 // file → ties
	tableLoose    = 0x76 // loose files and doubtful contents, see below
	tableBlob     = 0x77 // sum, file → nothing: the file has this content
	tableAppRoom  = 0x7b // application, or application 0 and "guests" → bytes 8 of files and reservations of theirs
)

// The second byte of keys in tableLoose.
const (
	looseFile = 0 // since 8, file → nothing
	looseBlob = 1 // sum → noted at 8: no file has it since
	looseUpon = 2 // sum, who → claimed at 8: somebody is about to keep it
)

type fileRow struct {
	Owner   string `json:"owner"`
	App     string `json:"app,omitempty"`
	Guest   bool   `json:"guest,omitempty"`
	Name    string `json:"name"`
	Mime    string `json:"mime"`
	Kind    string `json:"kind"`
	Size    int64  `json:"size"`
	Sum     string `json:"sum"`
	Created int64  `json:"created"`

	Width       int        `json:"width,omitempty"`
	Height      int        `json:"height,omitempty"`
	Frames      int        `json:"frames,omitempty"`
	Placeholder string     `json:"placeholder,omitempty"`
	Duration    int64      `json:"duration,omitempty"` // nanoseconds
	Peaks       []byte     `json:"peaks,omitempty"`
	Thumbs      []thumbRow `json:"thumbs,omitempty"`
}

type thumbRow struct {
	Size   string `json:"size"`
	Sum    string `json:"sum"`
	Mime   string `json:"mime"`
	Bytes  int64  `json:"bytes"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

func rowOfFile(f *filectr.File) fileRow {
	r := fileRow{
		Owner: f.Owner, App: f.App, Guest: f.Guest, Name: f.Name, Mime: f.Mime, Kind: string(f.Kind), Size: f.Size, Sum: f.Sum.String(), Created: nanos(f.Created),
		Width: f.Width, Height: f.Height, Frames: f.Frames, Placeholder: f.Placeholder, Duration: int64(f.Duration), Peaks: f.Peaks,
	}
	for _, t := range f.Thumbs {
		r.Thumbs = append(r.Thumbs, thumbRow{t.Size, t.Sum.String(), t.Mime, t.Bytes, t.Width, t.Height})
	}
	return r
}

func (r fileRow) file(id protocol.FileID) (*filectr.File, error) {
	sum, ok := filectr.ParseSum(r.Sum)
	f := &filectr.File{
		ID: id, Owner: r.Owner, App: r.App, Guest: r.Guest, Name: r.Name, Mime: r.Mime, Kind: filectr.Kind(r.Kind), Size: r.Size, Sum: sum, Created: fromNanos(r.Created),
		Width: r.Width, Height: r.Height, Frames: r.Frames, Placeholder: r.Placeholder, Duration: time.Duration(r.Duration), Peaks: r.Peaks,
	}
	for _, t := range r.Thumbs {
		sum, good := filectr.ParseSum(t.Sum)
		ok = ok && good
		f.Thumbs = append(f.Thumbs, filectr.Thumb{Size: t.Size, Sum: sum, Mime: t.Mime, Bytes: t.Bytes, Width: t.Width, Height: t.Height})
	}
	if !ok {
		return nil, fmt.Errorf("rows: file %s has a content without a name", id)
	}
	return f, nil
}

type reservedRow struct {
	User      string `json:"user"`
	App       string `json:"app,omitempty"`
	Guest     bool   `json:"guest,omitempty"`
	Bytes     int64  `json:"bytes"`
	Resumable bool   `json:"resumable,omitempty"`
	Node      string `json:"node,omitempty"`
	Created   int64  `json:"created,omitempty"`
}

// ties say what refers to a file: how many entries, and while there are none, since
// when; sent: there were some. A row is entries 8, since 8 in Unix nanoseconds, sent 1.
type ties struct {
	entries int64
	since   int64
	sent    bool
}

func (t ties) row() []byte {
	b := make([]byte, 0, 17)
	b = binary.BigEndian.AppendUint64(b, uint64(t.entries))
	b = binary.BigEndian.AppendUint64(b, uint64(t.since))
	if t.sent {
		return append(b, 1)
	}
	return append(b, 0)
}

func parseTies(b []byte) (t ties, err error) {
	if len(b) != 17 {
		return t, fmt.Errorf("ties: %w", errShort)
	}
	t.entries = int64(binary.BigEndian.Uint64(b))
	t.since = int64(binary.BigEndian.Uint64(b[8:]))
	t.sent = b[16] != 0
	return t, nil
}

func looseKey(since int64, id protocol.FileID) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{tableLoose, looseFile}, uint64(since)), id...)
}

func doubtKey(sum filectr.Sum) []byte { return append([]byte{tableLoose, looseBlob}, sum[:]...) }

// claimKey is the row of a claim; "" begins those of everybody.
func claimKey(sum filectr.Sum, by string) []byte {
	return append(append([]byte{tableLoose, looseUpon}, sum[:]...), by...)
}

func blobKey(sum filectr.Sum, id protocol.FileID) []byte {
	return append(append([]byte{tableBlob}, sum[:]...), id...)
}

// appRoomKey is the row of what an application's users take, or its visitors among them.
func appRoomKey(app string, guests bool) []byte {
	if guests {
		return rowKey(tableAppRoom, app, "guests")
	}
	return rowKey(tableAppRoom, app)
}

// RefersTo begins the keys of what refers to a file; a session and a seq follow.
func RefersTo(id protocol.FileID) []byte {
	return append(append(make([]byte, 0, 1+len(id)+sessionIn+8), tableRefer), id...)
}

// refers is the key that says that an entry names a file.
func refers(id protocol.FileID, session []byte, seq int64) []byte {
	return binary.BigEndian.AppendUint64(append(RefersTo(id), session...), uint64(seq))
}
