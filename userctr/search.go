package userctr

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Findable says who finds a user by its name.
type Findable string

const (
	FindableByAll   Findable = "everyone" // by parts of name and nickname; "" is this, too
	FindableByExact Findable = "exact"    // by the exact name alone
	FindableByNone  Findable = "nobody"
)

// SearchTerms is what u is found by: the words of its name and nickname, folded. Of
// scripts that put no spaces between words, every two characters in a row, and the
// last. Nothing for those who are not to be found by parts of their names. A store
// keeps these beside u's row, changed with it in one step.
func SearchTerms(u *User) []string {
	if u.Findable != "" && u.Findable != FindableByAll || u.Disabled || u.Kind == Guest || u.Kind == System {
		return nil
	}
	var terms []string
	for _, run := range runs(u.Name + " " + u.Nickname) {
		if !run.dense {
			terms = append(terms, term(run.text))
			continue
		}
		for rest := run.text; rest != ""; {
			_, first := utf8.DecodeRuneInString(rest)
			_, second := utf8.DecodeRuneInString(rest[first:])
			terms = append(terms, rest[:first+second])
			rest = rest[first:]
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// maxTerm is in bytes: with the longest user id it makes a cursor of 252 characters.
const maxTerm = 60

// term is the beginning of a word as the index has it.
func term(word string) string {
	if len(word) <= maxTerm {
		return word
	}
	n := maxTerm
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// run is a part of a name: a word, or (dense) characters of a script without spaces.
type run struct {
	text  string
	dense bool
}

// runs cuts a folded text into its words.
func runs(text string) (all []run) {
	text = strings.ToLower(norm.NFKC.String(text))
	var word strings.Builder
	dense := false
	end := func() {
		if word.Len() > 0 {
			all = append(all, run{word.String(), dense})
			word.Reset()
		}
	}
	for _, r := range text {
		switch {
		case !unicode.In(r, unicode.L, unicode.M, unicode.Nd):
			end()
			continue
		case unicode.In(r, unicode.M): // goes with what it stands on
		case dense != isDense(r):
			end()
			dense = isDense(r)
		}
		word.WriteRune(r)
	}
	end()
	return all
}

func isDense(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// query is what is searched for: every run has to be in a user's names, a word as
// the beginning of one, dense characters anywhere.
type query []run

// prefix is what the terms of everybody who matches have one of beginning with it: of
// the longest run, which few have.
func (q query) prefix() string {
	longest := slices.MaxFunc(q, func(a, b run) int { return cmp.Compare(len(a.text), len(b.text)) })
	if !longest.dense {
		return term(longest.text)
	}
	_, first := utf8.DecodeRuneInString(longest.text)
	_, second := utf8.DecodeRuneInString(longest.text[first:])
	return longest.text[:first+second]
}

func (q query) matches(u *User) bool {
	has := runs(u.Name + " " + u.Nickname)
	for _, want := range q {
		if !slices.ContainsFunc(has, func(is run) bool {
			return is.dense == want.dense && (strings.HasPrefix(is.text, want.text) || want.dense && strings.Contains(is.text, want.text))
		}) {
			return false
		}
	}
	return true
}

// TermPlace is one entry of the index of names, in order of terms and users.
type TermPlace struct {
	Term string
	User protocol.UserID
}

const (
	maxFound  = 50  // a page
	maxLooked = 300 // entries of the index that one page looks at
	maxQuery  = 64  // characters
)

// Find gives users by parts of their names, limit at most, and the cursor of the next
// page, which may come with less than limit. It finds neither asker nor who blocked
// it, is disabled or is not to be found. BAD_REQUEST, RATE_LIMITED.
func (c *Center) Find(ctx context.Context, asker protocol.UserID, text, cursor string, limit int) (found []*User, next string, err error) {
	q := query(runs(text))
	if len(q) == 0 || utf8.RuneCountInString(text) > maxQuery {
		return nil, "", protocol.BadRequest("search: 1 to %d characters are needed, of them a letter or digit", maxQuery)
	}
	after, err := parseTermPlace(cursor)
	if err != nil {
		return nil, "", err
	}
	if err := c.searchRate.take(asker, c.now()); err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxFound)
	prefix := q.prefix()
	places, err := c.store.FindTerms(ctx, prefix, after, maxLooked)
	if err != nil {
		return nil, "", fmt.Errorf("userctr: search: %w", err)
	}
	ids := make([]protocol.UserID, len(places))
	for i, p := range places {
		ids[i] = p.User
	}
	slices.Sort(ids)
	users, err := c.store.Users(ctx, slices.Compact(ids))
	if err != nil {
		return nil, "", fmt.Errorf("userctr: search: %w", err)
	}
	byID := make(map[protocol.UserID]*User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	var hits []TermPlace
	for _, p := range places {
		u := byID[p.User]
		if u == nil || u.ID == asker || !q.matches(u) {
			continue
		}
		terms := SearchTerms(u) // the row is the truth: it may be another than the index was read with
		if i := slices.IndexFunc(terms, func(t string) bool { return strings.HasPrefix(t, prefix) }); i >= 0 && terms[i] == p.Term {
			hits = append(hits, p) // by several terms a user is found once, by the first
		}
	}
	blocked, err := c.blockers(ctx, asker, hits)
	if err != nil {
		return nil, "", err
	}
	more := len(places) == maxLooked
	last := TermPlace{}
	if more {
		last = places[len(places)-1]
	}
	for i, p := range hits {
		if slices.Contains(blocked, p.User) {
			continue
		}
		if len(found) == limit {
			more, last = true, hits[i-1]
			break
		}
		found = append(found, byID[p.User])
	}
	if more {
		next = last.cursor()
	}
	return found, next, nil
}

// blockers are those of hits who have blocked asker.
func (c *Center) blockers(ctx context.Context, asker protocol.UserID, hits []TermPlace) ([]protocol.UserID, error) {
	a := c.activity.Load()
	if a == nil || len(hits) == 0 {
		return nil, nil
	}
	ids := make([]protocol.UserID, len(hits))
	for i, p := range hits {
		ids[i] = p.User
	}
	blocked, err := (*a).BlockedBy(ctx, asker, ids)
	if err != nil {
		return nil, fmt.Errorf("userctr: who blocked %s: %w", asker, err)
	}
	return blocked, nil
}

// FindExact gives the user of that very name, if asker may find it. NOT_FOUND; RATE_LIMITED.
func (c *Center) FindExact(ctx context.Context, asker protocol.UserID, name string) (*User, error) {
	if err := c.searchRate.take(asker, c.now()); err != nil {
		return nil, err
	}
	u, err := c.Named(ctx, name)
	if err != nil || u.ID == asker {
		return u, err
	}
	none := protocol.NotFound("no user has this name")
	if u.Disabled || u.Kind == Guest || u.Findable == FindableByNone {
		return nil, none
	}
	blocked, err := c.blockers(ctx, asker, []TermPlace{{User: u.ID}})
	if err != nil {
		return nil, err
	}
	if len(blocked) > 0 {
		return nil, none
	}
	return u, nil
}

// cursor is a place as a client holds it.
func (p TermPlace) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.Term + "\x00" + p.User))
}

func parseTermPlace(cursor string) (p TermPlace, err error) {
	if cursor == "" {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	var ok bool
	if p.Term, p.User, ok = strings.Cut(string(text), "\x00"); err != nil || !ok {
		return p, badCursor()
	}
	return p, nil
}
