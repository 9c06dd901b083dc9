package filectr

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName is in bytes, as most file systems take 255.
const maxName = 200

// cleanName makes of what a client calls a file a name that harms nobody who saves
// or shows it: no directories, no control characters, none that turn the direction
// of writing or cannot be seen, none that a file system reads as something else.
// "" is a name of which nothing is left.
func cleanName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c' || r == '\u200d': // join letters and emoji
			return r
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r):
			return -1
		case unicode.Is(unicode.Co, r), r == '\u2028', r == '\u2029':
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`<>:"|?*%;`, r):
			return '_'
		}
		return r
	}, norm.NFC.String(name))
	name = strings.TrimLeft(name, " .~-")
	name = strings.TrimRight(name, " .")
	if stem, _, _ := strings.Cut(name, "."); reserved[strings.ToLower(stem)] {
		name = "_" + name
	}
	return shorten(name)
}

// reserved names are devices to Windows, whatever stands behind their dot.
var reserved = func() map[string]bool {
	m := map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}
	for _, n := range "123456789" {
		m["com"+string(n)], m["lpt"+string(n)] = true, true
	}
	return m
}()

// shorten cuts a name in front of its extension.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	stem := name[:maxName-len(ext)]
	for len(stem) > 0 && !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return strings.TrimRight(stem, " .") + ext
}

// extension is what a name says of its type: the letters behind the last dot, in
// lower case, without the dot.
func extension(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
}
