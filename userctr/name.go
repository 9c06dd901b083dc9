package userctr

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Bounds of what people call themselves.
const (
	maxName     = 64   // characters
	maxNickname = 64   // characters
	maxAvatar   = 1024 // bytes
	minPassword = 8    // characters: OWASP ASVS 5.0, 6.2.1
	maxPassword = 256  // characters; ASVS 6.2.9 wants 64 at least
	maxID       = 128  // bytes
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID gives prefix and 80 random bits as 16 characters.
func newID(prefix string) string {
	var b [10]byte
	rand.Read(b[:])
	return prefix + base32Lower.EncodeToString(b[:])
}

// foldName checks a name to sign in with and gives it as it is compared: by the
// UsernameCaseMapped profile of RFC 8265, so letter case, full-width forms and the
// ways of composing an accent make no difference. A name has 1 to 64 characters,
// which are letters and digits of any script and . _ - + @.
func foldName(name string) (string, error) {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || !utf8.ValidString(name) {
		return "", protocol.BadRequest("a name has 1 to %d characters", maxName)
	}
	folded, err := precis.UsernameCaseMapped.String(name)
	if err != nil || utf8.RuneCountInString(folded) > maxName {
		return "", protocol.BadRequest("a name has letters, digits and . _ - + @ only")
	}
	for _, r := range folded {
		if !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune("._-+@", r) {
			return "", protocol.BadRequest("a name has letters, digits and . _ - + @ only")
		}
	}
	return folded, nil
}

// cleanNickname checks a name to be shown: at most 64 characters, no control
// characters and none that turn the text around it (bidirectional overrides).
func cleanNickname(name string) (string, error) {
	name = strings.TrimSpace(norm.NFC.String(name))
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNickname {
		return "", protocol.BadRequest("a nickname has at most %d characters", maxNickname)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return "", protocol.BadRequest("a nickname has no control characters")
	}
	return name, nil
}

// checkAvatar takes a file id, a path of this server, or an http or https link.
func checkAvatar(avatar string) error {
	if len(avatar) > maxAvatar || !printable(avatar) {
		return protocol.BadRequest("an avatar is a link or file id of at most %d bytes", maxAvatar)
	}
	scheme, _, found := strings.Cut(avatar, ":")
	if found && !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return protocol.BadRequest("an avatar's link begins with https or http")
	}
	return nil
}

// segments are words that stand where a user id stands in a path, a mention or as the
// sender of what the installation itself says, or in the audit log.
var segments = map[string]bool{
	"*": true, ".": true, "..": true, "me": true, "login": true, "logout": true, "refresh": true, "invites": true,
	"friends": true, "blocks": true, "requests": true, "system": true, ByOperator: true, ByServer: true, byReviewer: true,
}

// checkUserID takes the subject of an outside token as a user's id: what
// protocol.ParseUserID takes, but "*", which is everybody, "system", and the words of our paths.
func checkUserID(id string) error {
	if _, err := protocol.ParseUserID(id); err != nil || segments[id] {
		return protocol.Unauthorized("the token's subject cannot be a user id")
	}
	if notForBots(id) != nil {
		return protocol.Unauthorized("the token's subject begins with b_, as bots' ids alone do")
	}
	return nil
}

// checkDevice takes a client's own name for its device, or "".
func checkDevice(device, platform, version string) error {
	for _, s := range []string{device, platform, version} {
		if len(s) > maxID || !printable(s) || strings.Contains(s, "/") {
			return protocol.BadRequest("a device, platform or version has at most %d bytes, no control characters and no slash", maxID)
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
