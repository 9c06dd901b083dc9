package protocol

import (
	"crypto/rand"
	"slices"
	"strings"
)

// FileID names a stored file.
type FileID = string

const (
	filePrefix = "f_"
	fileBytes  = 16 // 128 bits
	fileChars  = 26
)

// NewFileID makes the id of a new file: f_ and 128 random bits, as nobody is to guess one.
func NewFileID() FileID {
	var raw [fileBytes]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	return filePrefix + base32Lower.EncodeToString(raw[:])
}

// IsFileID says whether s looks like an id that NewFileID makes.
func IsFileID(s string) bool {
	if len(s) != len(filePrefix)+fileChars || !strings.HasPrefix(s, filePrefix) {
		return false
	}
	for _, c := range []byte(s[len(filePrefix):]) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// HasFiles says whether c names files, or links in their place.
func (c *Content) HasFiles() bool {
	return c != nil && (c.File != "" || len(c.Files) > 0 || c.Thumb != "")
}

// FileNames gives what c names in file, files and thumb, each once: ids of files,
// and links of somewhere else.
func (c *Content) FileNames() []string {
	if !c.HasFiles() {
		return nil
	}
	names := make([]string, 0, 2+len(c.Files))
	for _, name := range append([]string{c.File, c.Thumb}, c.Files...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// IsLink says whether a name is no file of ours but a link to somewhere else.
func IsLink(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}
