package desk

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
)

// maxHops is how many bots may stand between a person and what another bot hears.
const maxHops = 3

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// hashed is 120 bits of a SHA-256 over words, in 24 characters.
func hashed(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return base32Lower.EncodeToString(sum[:15])
}

// replyID is the client message id of a bot's nth post for an event, and the stream id
// of its draft: the same however often the event comes. How many bots stand before it
// is in it, so that it need not be remembered: b, the number, a dot, a hash.
func replyID(event string, n uint32, hops uint32) string {
	return postID(hops, "event", event, strconv.FormatUint(uint64(n), 10))
}

// keyID is replyID for a post outside an event.
func keyID(key string) string { return postID(1, "key", key) }

func postID(hops uint32, words ...string) string {
	return "b" + strconv.FormatUint(uint64(hops), 10) + "." + hashed(words...)
}

// hopsOf reads from a bot's client message id how many bots stand before the message.
// What the desk says by itself is for no bot.
func hopsOf(clientMsgID string) uint32 {
	text, ok := strings.CutPrefix(clientMsgID, "b")
	number, _, dot := strings.Cut(text, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || !dot || err != nil {
		return maxHops
	}
	return uint32(n)
}
