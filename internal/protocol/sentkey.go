package protocol

import "crypto/sha256"

// SentKey names a message by its sender and client message id within a session:
// the first 16 bytes of SHA-256 over both, the sender with its length in front.
func SentKey(sender UserID, id ClientMsgID) (key [16]byte) {
	var room [160]byte
	b := append(room[:0], byte(len(sender)>>8), byte(len(sender)))
	b = append(b, sender...)
	b = append(b, id...)
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}
