package egress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader says when a request was made and by whom, as Sign makes it.
const SignatureHeader = "Troupe-Signature"

// Sign is t=UNIX,v1=HEX: HMAC-SHA256 by secret of the time in Unix seconds, a dot, and
// the body.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
