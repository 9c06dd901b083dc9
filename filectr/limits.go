package filectr

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

// AppLimits bound the files of those who came by an application. The installation's
// settings hold for them too. A zero field bounds nothing.
type AppLimits struct {
	Kinds       []Kind         // that are taken; none: all
	Types       []string       // that are taken, like application/pdf or image/*; none: all
	Max         map[Kind]int64 // bytes of one file of a kind
	Quota       int64          // bytes of all their files together
	QuotaGuests int64          // and of those of its visitors, who are anonymous
}

// Apps knows applications.
type Apps interface {
	HasApp(app string) bool
	// FileLimits gives an application's limits; none where there is no such application.
	FileLimits(app string) AppLimits
}

// limitsOf gives the limits of an application, "": of none.
func (c *Center) limitsOf(app string) AppLimits {
	if app == "" || c.cfg.Apps == nil {
		return AppLimits{}
	}
	return c.cfg.Apps.FileLimits(app)
}

// takes says whether the application takes files of a kind and type. UNSUPPORTED: it does not.
func (l AppLimits) takes(kind Kind, mime string) error {
	if len(l.Kinds) > 0 && !slices.Contains(l.Kinds, kind) {
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "this application takes files of the kinds %s, and this is of the kind %s", join(l.Kinds), kind)
	}
	if len(l.Types) > 0 && !slices.ContainsFunc(l.Types, func(t string) bool { return typeIn(mime, t) }) {
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "this application takes files of the types %s, and this is of the type %s", strings.Join(l.Types, ", "), mime)
	}
	return nil
}

// typeIn says whether a type is the one named, or one of those that image/* names.
func typeIn(mime, named string) bool {
	if family, ok := strings.CutSuffix(named, "*"); ok {
		return strings.HasPrefix(mime, family)
	}
	return mime == named
}

func join(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// bound is how many bytes a file may have.
type bound struct {
	bytes int64
	app   bool // it is the application's
}

func (b bound) tooLarge() error {
	if b.app {
		return protocol.TooLarge("a file of this kind has at most %d bytes in this application", b.bytes)
	}
	return protocol.TooLarge("a file of this kind has at most %d bytes", b.bytes)
}

// bound is what a file of a kind and type may have when it is uploaded by somebody who
// came by app. UNSUPPORTED: the application does not take it.
func (c *Center) bound(app string, kind Kind, mime string) (bound, error) {
	l := c.limitsOf(app)
	b := bound{bytes: c.cfg.limit(kind)}
	if n := l.Max[kind]; n > 0 && n < b.bytes {
		b = bound{n, true}
	}
	return b, l.takes(kind, mime)
}

// boundOf is bound for a file that begins with head and goes by name.
func (c *Center) boundOf(app string, head []byte, name string) (bound, error) {
	mime, kind := typeOf(head, cleanName(name))
	return c.bound(app, kind, mime)
}

// largest is what a file of any kind may have when somebody who came by app uploads it.
func (c *Center) largest(app string) bound {
	l, most := c.limitsOf(app), bound{}
	for _, k := range []Kind{Image, Voice, Video, Package, Document} {
		b, err := c.bound(app, k, "")
		if len(l.Types) > 0 { // not asked yet
			err = nil
		}
		if err == nil && b.bytes > most.bytes {
			most = b
		}
	}
	return most
}

// quota is what the files of one user may have, and with others' together. Whoever asks
// for a page is a new visitor, so visitors have less each, and together never take the
// last tenth of all room.
func (c *Center) quota(app string, guest bool) Quota {
	l := c.limitsOf(app)
	q := Quota{User: c.cfg.Quota, All: c.cfg.QuotaAll, App: l.Quota}
	if guest {
		q.User, q.All, q.Guests = min(c.cfg.Quota, c.cfg.QuotaGuest), c.cfg.QuotaAll-c.cfg.QuotaAll/10, l.QuotaGuests
	}
	return q
}

// UsedIn is how many bytes the files take of those who came by an application, and how
// many of them those of its visitors.
func (c *Center) UsedIn(ctx context.Context, app string) (all, guests int64, err error) {
	if all, err = c.store.UsedIn(ctx, app, false); err == nil {
		guests, err = c.store.UsedIn(ctx, app, true)
	}
	if err != nil {
		err = fmt.Errorf("filectr: room of %s: %w", app, err)
	}
	return all, guests, err
}
