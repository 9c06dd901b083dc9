package filectr

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A link's code is a MAC 16, its end in Unix seconds 8, and the user who asked for it.
// It opens one file, or one thumbnail of it, for a while, and only as long as that
// user may read the file.
const macBytes = 16

func (c *Center) seal(id protocol.FileID, size string, user protocol.UserID, until time.Time) string {
	says := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	says = append(says, user...)
	return base64.RawURLEncoding.EncodeToString(append(c.mac(id, size, says), says...))
}

func (c *Center) mac(id protocol.FileID, size string, says []byte) []byte {
	h := hmac.New(sha256.New, c.cfg.Key)
	for _, part := range [][]byte{[]byte("file link"), []byte(id), []byte(size), says} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)[:macBytes]
}

// open gives the user of a link's code, or NOT_FOUND, or EXPIRED.
func (c *Center) open(id protocol.FileID, size, code string) (protocol.UserID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(raw) <= macBytes+8 || !hmac.Equal(raw[:macBytes], c.mac(id, size, raw[macBytes:])) {
		return "", nothingBehind()
	}
	until := time.Unix(int64(binary.BigEndian.Uint64(raw[macBytes:])), 0)
	if !c.now().Before(until) {
		return "", protocol.Errorf(protocol.Code_EXPIRED, "this link ended at %s", until.UTC().Format(time.RFC3339))
	}
	return string(raw[macBytes+8:]), nil
}

func nothingBehind() error { return protocol.NotFound("nothing is behind this link") }
