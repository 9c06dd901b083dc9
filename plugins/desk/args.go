package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/args"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// checker makes of what a person typed, or a form or model gave, the arguments of a
// command. Its errors are for that person.
type checker struct {
	say     *language
	locale  string
	cmd     *botv1.Command
	mention []*botv1.Person        // whom the message mentions, in order
	member  func(user string) bool // of an id that was typed or given
}

// line reads arguments as they are typed: in order, several words of one in quotes; the
// last one takes the rest where its type is text.
func (c *checker) line(rest string) (map[string]any, error) {
	got := map[string]any{}
	for _, a := range c.cmd.Args {
		if rest = strings.TrimLeftFunc(rest, unicode.IsSpace); rest == "" {
			if err := c.absent(a, got); err != nil {
				return nil, err
			}
			continue
		}
		var v any
		var err error
		switch a.Type {
		case "text":
			v, rest = strings.TrimSpace(rest), ""
		case "user":
			v, rest, err = c.person(a, rest)
		default:
			var word string
			word, rest = token(rest)
			v, err = c.value(a, word)
		}
		if err != nil {
			return nil, err
		}
		got[a.Name] = v
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		return nil, fmt.Errorf(c.say.tooMuch, cutText(rest, 100))
	}
	return got, nil
}

// object checks arguments that are there by name.
func (c *checker) object(raw []byte) (map[string]any, error) {
	given := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&given); err != nil {
		return nil, errors.New(c.say.badArgs)
	}
	got := map[string]any{}
	for _, a := range c.cmd.Args {
		v, ok := given[a.Name]
		delete(given, a.Name)
		if !ok || v == nil || v == "" {
			if err := c.absent(a, got); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		switch v := v.(type) {
		case string:
			if a.Type == "user" {
				got[a.Name], _, err = c.person(a, v)
			} else {
				got[a.Name], err = c.value(a, v)
			}
		case json.Number:
			if a.Type == "duration" { // milliseconds
				got[a.Name], err = c.value(a, v.String()+"ms")
			} else {
				got[a.Name], err = c.value(a, v.String())
			}
		case bool:
			got[a.Name], err = c.value(a, strconv.FormatBool(v))
		case map[string]any:
			if user, ok := v["user"].(string); ok && a.Type == "user" {
				got[a.Name], _, err = c.person(a, user)
				break
			}
			err = errors.New(c.say.badArgs)
		case []any: // words of one argument, as forms give them
			var words []string
			for _, w := range v {
				words = append(words, fmt.Sprint(w))
			}
			got[a.Name], err = c.value(a, strings.Join(words, " "))
		default:
			err = errors.New(c.say.badArgs)
		}
		if err != nil {
			return nil, err
		}
	}
	for name := range given {
		return nil, fmt.Errorf(c.say.badName, cutText(name, 40))
	}
	return got, nil
}

// absent takes an argument's default.
func (c *checker) absent(a *botv1.Argument, got map[string]any) error {
	if a.Std != "" {
		v, err := c.value(a, a.Std)
		got[a.Name] = v
		return err
	}
	if a.Required {
		return fmt.Errorf(c.say.missing, c.name(a))
	}
	return nil
}

func (c *checker) name(a *botv1.Argument) string {
	if help := helpIn(a.Help, a.HelpIn, c.locale); help != "" {
		return a.Name + " (" + help + ")"
	}
	return a.Name
}

// value reads one word.
func (c *checker) value(a *botv1.Argument, word string) (any, error) {
	bad := func(text string) (any, error) { return nil, fmt.Errorf(text, c.name(a)) }
	switch a.Type {
	case "integer":
		n, err := strconv.ParseInt(word, 10, 64)
		if f, ferr := strconv.ParseFloat(word, 64); err != nil && ferr == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			n, err = int64(f), nil
		}
		if err != nil || n > 1<<53 || n < -1<<53 {
			return bad(c.say.badInt)
		}
		return n, c.bounds(a, float64(n))
	case "number":
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return bad(c.say.badNum)
		}
		return n, c.bounds(a, n)
	case "boolean":
		switch strings.ToLower(word) {
		case "yes", "true", "on", "1", "y", "是", "开":
			return true, nil
		case "no", "false", "off", "0", "n", "否", "关":
			return false, nil
		}
		return bad(c.say.badBool)
	case "duration":
		d, err := args.Duration(word)
		if err != nil || d <= 0 {
			return bad(c.say.badDuration)
		}
		return d.Milliseconds(), nil
	case "choice":
		for _, choice := range a.Choices {
			if strings.EqualFold(choice, word) {
				return choice, nil
			}
		}
		return nil, fmt.Errorf(c.say.badChoice, c.name(a), strings.Join(a.Choices, ", "))
	case "user":
		v, _, err := c.person(a, word)
		return v, err
	}
	if a.Min != 0 || a.Max != 0 {
		if err := c.bounds(a, float64(len([]rune(word)))); err != nil {
			return nil, err
		}
	}
	return word, nil
}

func (c *checker) bounds(a *botv1.Argument, n float64) error {
	switch {
	case a.Min == 0 && a.Max == 0:
	case n < a.Min:
		return fmt.Errorf(c.say.tooSmall, c.name(a), a.Min)
	case n > a.Max && a.Max != 0:
		return fmt.Errorf(c.say.tooLarge, c.name(a), a.Max)
	}
	return nil
}

// person reads a mention, by the name as it stands in the text, or an id. What comes of it
// is the id.
func (c *checker) person(a *botv1.Argument, rest string) (id any, left string, err error) {
	name, at := strings.CutPrefix(rest, "@")
	if at {
		var best *botv1.Person
		for _, p := range c.mention {
			if p.Name != "" && strings.HasPrefix(name, p.Name) && (best == nil || len(p.Name) > len(best.Name)) {
				best = p
			}
		}
		if best != nil {
			return best.User, name[len(best.Name):], nil
		}
	}
	word, left := token(name)
	for _, p := range c.mention {
		if p.User == word || strings.EqualFold(p.Name, word) {
			return p.User, left, nil
		}
	}
	if _, bad := protocol.ParseUserID(word); bad == nil && c.member != nil && c.member(word) {
		return word, left, nil
	}
	return nil, rest, fmt.Errorf(c.say.badUser, c.name(a))
}

// quotes open and close what is one argument of several words.
var quotes = map[rune]rune{'"': '"', '\'': '\'', '“': '”', '‘': '’', '「': '」', '«': '»'}

// token takes the first word, or what stands in quotes; in straight ones \ goes before a quote.
func token(s string) (word, rest string) {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	var open rune
	for _, r := range s {
		open = r
		break
	}
	if end, quoted := quotes[open]; quoted {
		var b strings.Builder
		escaped := false
		for i, r := range s {
			switch {
			case i == 0:
			case escaped:
				b.WriteRune(r)
				escaped = false
			case r == '\\' && open == end:
				escaped = true
			case r == end:
				return b.String(), s[i+len(string(r)):]
			default:
				b.WriteRune(r)
			}
		}
		// It is never closed: it is no quote then.
	}
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
