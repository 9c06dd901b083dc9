package userctr

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

//go:embed password_common.txt
var commonText string

// common holds some two thousand passwords that are tried first by whoever guesses
// (OWASP ASVS 5.0, 6.2.4; its own advice is a list of 3,000).
var common = sync.OnceValue(func() map[string]bool {
	words := make(map[string]bool, 1<<12)
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			words[line] = true
		}
	}
	return words
})

// checkPassword takes a new password for the user of that folded name. Letter case does
// not make one that is known by everybody, or by everybody who knows the user, a secret.
func checkPassword(password, folded string) error {
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return protocol.BadRequest("a password has %d to %d characters", minPassword, maxPassword)
	}
	if common()[strings.ToLower(password)] {
		return protocol.BadRequest("this password is one of the most used, and would be guessed at once; take another")
	}
	if as, err := foldName(password); err == nil && as == folded {
		return protocol.BadRequest("a password is not the user's name")
	}
	return nil
}
