package protocol

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// AvatarPath begins the paths of pictures that this server has of people and sessions.
// What stands behind it opens the picture, without a token.
const AvatarPath = "/api/v2/avatars/"

const (
	chosenPrefix = "a_"
	madePrefix   = "made."
)

// NewAvatar makes the path of a picture that somebody chose: of 128 random bits, as
// nobody is to guess one.
func NewAvatar() string {
	var raw [fileBytes]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	return AvatarPath + chosenPrefix + base32Lower.EncodeToString(raw[:])
}

// ChosenAvatar gives the code in a path that NewAvatar made; not ok: it is another's.
func ChosenAvatar(path string) (code string, ok bool) {
	code, ok = strings.CutPrefix(path, AvatarPath)
	return code, ok && strings.HasPrefix(code, chosenPrefix) && len(code) == len(chosenPrefix)+fileChars
}

// MadeAvatar is the path of the picture that is made from an id, where nobody chose one.
func MadeAvatar(id string) string { return AvatarPath + madePrefix + PathWord(id) }

// MadeFrom gives the id in a code of MadeAvatar.
func MadeFrom(code string) (id string, ok bool) {
	if code, ok = strings.CutPrefix(code, madePrefix); !ok {
		return "", false
	}
	return FromPathWord(code)
}

// ShownAvatar is what others get of a user or session with an avatar as it is kept:
// something to be shown at once.
func ShownAvatar(kept, id string) string {
	if kept == "" || IsFileID(kept) {
		return MadeAvatar(id)
	}
	return kept
}

// KeptAvatar is what to keep where is was kept and somebody sets want, which may be
// what was shown: no file's id, but a link or a path. BAD_REQUEST: it is another's picture.
func KeptAvatar(is, want string) (string, error) {
	switch _, chosen := ChosenAvatar(want); {
	case want == is || !strings.HasPrefix(want, AvatarPath):
		return want, nil
	case chosen:
		return "", BadRequest("avatar: this picture is another's, or is gone; upload one and give its file id")
	}
	return "", nil // the one that was made: none is chosen
}

// PathWord is id as a part of a path, without dots: ids have any characters.
func PathWord(id string) string {
	plain := strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
	if plain && id != "" {
		return id
	}
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// FromPathWord reads what PathWord writes.
func FromPathWord(word string) (id string, ok bool) {
	if rest, coded := strings.CutPrefix(word, "~"); coded {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
		word, ok = string(raw), err == nil && PathWord(string(raw)) != string(raw)
	} else {
		ok = word != "" && PathWord(word) == word
	}
	if _, err := ParseUserID(word); err != nil {
		return "", false
	}
	return word, ok
}
