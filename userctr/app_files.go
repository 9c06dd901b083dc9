package userctr

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

// FileLimits bound the files of those who came by an application, whose file centre asks
// for them. The installation's settings hold for them too. A zero field bounds nothing.
type FileLimits struct {
	Kinds       []string         `json:"kinds,omitempty" maxItems:"5" doc:"Kinds of files that are taken: image, voice, video, package, document; none: all"`
	Types       []string         `json:"types,omitempty" maxItems:"50" doc:"Types that are taken, like application/pdf or image/*; none: all"`
	Max         map[string]int64 `json:"max,omitempty" doc:"Bytes of one file, by kind"`
	Quota       int64            `json:"quota,omitempty" minimum:"0" doc:"Bytes of all their files together"`
	QuotaGuests int64            `json:"quotaGuests,omitempty" minimum:"0" doc:"Bytes of its visitors' files together"`
}

// FileKinds are the kinds of files that there are.
var FileKinds = []string{"image", "voice", "video", "package", "document"}

// maxFileTypes is how many types an application may name.
const maxFileTypes = 50

var fileType = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,62}/(\*|[a-z0-9][a-z0-9.+-]{0,126})$`)

// check says what is wrong with limits: BAD_REQUEST, TOO_MANY. They are put in order.
func (l *FileLimits) check() error {
	l.Kinds = slices.Compact(slices.Sorted(slices.Values(l.Kinds)))
	l.Types = slices.Compact(slices.Sorted(slices.Values(l.Types)))
	for _, k := range slices.Concat(l.Kinds, slices.Sorted(maps.Keys(l.Max))) {
		if !slices.Contains(FileKinds, k) {
			return protocol.BadRequest("files: the kind %.32q is none of %s", k, strings.Join(FileKinds, ", "))
		}
	}
	if len(l.Types) > maxFileTypes {
		return protocol.Errorf(protocol.Code_TOO_MANY, "files: %d types at most", maxFileTypes)
	}
	for _, t := range l.Types {
		if !fileType.MatchString(t) {
			return protocol.BadRequest("files: %.80q is no type like application/pdf or image/*, in lower case", t)
		}
	}
	for k, n := range l.Max {
		if n <= 0 {
			return protocol.BadRequest("files: max of %s is to be above 0; without it the installation's holds", k)
		}
	}
	if l.Quota < 0 || l.QuotaGuests < 0 {
		return protocol.BadRequest("files: a quota is not below 0")
	}
	return nil
}

// FileLimits gives an application's, at once; nobody changes what is in them. Where
// there is no such application, none.
func (c *Center) FileLimits(app string) FileLimits {
	if a := c.apps.get(app); a != nil {
		return a.Files
	}
	return FileLimits{}
}
