package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/troupe-im/troupe/internal/protocol"
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
	args := map[string]any{}
	for _, a := range c.cmd.Args {
		if rest = strings.TrimLeftFunc(rest, unicode.IsSpace); rest == "" {
			if err := c.absent(a, args); err != nil {
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
		args[a.Name] = v
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		return nil, fmt.Errorf(c.say.tooMuch, cutText(rest, 100))
	}
	return args, nil
}

// object checks arguments that are there by name.
func (c *checker) object(raw []byte) (map[string]any, error) {
	given := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&given); err != nil {
		return nil, errors.New(c.say.badArgs)
	}
	args := map[string]any{}
	for _, a := range c.cmd.Args {
		v, ok := given[a.Name]
		delete(given, a.Name)
		if !ok || v == nil || v == "" {
			if err := c.absent(a, args); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		switch v := v.(type) {
		case string:
			if a.Type == "user" {
				args[a.Name], _, err = c.person(a, v)
			} else {
				args[a.Name], err = c.value(a, v)
			}
		case json.Number:
			if a.Type == "duration" { // milliseconds
				args[a.Name], err = c.value(a, v.String()+"ms")
			} else {
				args[a.Name], err = c.value(a, v.String())
			}
		case bool:
			args[a.Name], err = c.value(a, strconv.FormatBool(v))
		case map[string]any:
			if user, ok := v["user"].(string); ok && a.Type == "user" {
				args[a.Name], _, err = c.person(a, user)
				break
			}
			err = errors.New(c.say.badArgs)
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
	return args, nil
}

// absent takes an argument's default.
func (c *checker) absent(a *botv1.Argument, args map[string]any) error {
	if a.Std != "" {
		v, err := c.value(a, a.Std)
		args[a.Name] = v
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
		d, ok := parseDuration(word)
		if !ok {
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

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "秒": time.Second, "秒钟": time.Second,
	"m": time.Minute, "min": time.Minute, "分": time.Minute, "分钟": time.Minute,
	"h": time.Hour, "时": time.Hour, "小时": time.Hour, "个小时": time.Hour,
	"d": 24 * time.Hour, "天": 24 * time.Hour, "日": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "周": 7 * 24 * time.Hour, "星期": 7 * 24 * time.Hour,
}

// parseDuration reads 90s, 10m, 2h, 3d, 1w, sums like 1h30m, and the same in Chinese. A
// number alone is in minutes. It is above 0 and ten years at most.
func parseDuration(text string) (time.Duration, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "m"
	}
	digit := func(r rune) bool { return r == '.' || r >= '0' && r <= '9' }
	var sum float64
	for text != "" {
		i := strings.IndexFunc(text, func(r rune) bool { return !digit(r) })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(text[:i], 64)
		if err != nil {
			return 0, false
		}
		text = text[i:]
		j := strings.IndexFunc(text, digit)
		if j < 0 {
			j = len(text)
		}
		unit, ok := units[strings.TrimSpace(text[:j])]
		if !ok {
			return 0, false
		}
		sum += n * float64(unit)
		text = text[j:]
	}
	if sum <= 0 || sum > float64(10*365*24*time.Hour) {
		return 0, false
	}
	return time.Duration(sum), true
}

// schema is a command's arguments as JSON Schema, for models.
func schema(c *botv1.Command) string {
	properties := map[string]any{}
	required := []string{}
	for _, a := range c.Args {
		p := map[string]any{}
		switch a.Type {
		case "integer", "number", "boolean":
			p["type"] = a.Type
		default:
			p["type"] = "string"
		}
		help := a.Help
		switch a.Type {
		case "duration":
			help = strings.TrimSpace(help + " (like 90s, 10m, 2h or 3d)")
		case "user":
			help = strings.TrimSpace(help + " (a user id)")
		case "choice":
			p["enum"] = a.Choices
		case "integer", "number":
			if a.Min != 0 || a.Max != 0 {
				p["minimum"] = a.Min
				if a.Max != 0 {
					p["maximum"] = a.Max
				}
			}
		}
		if help != "" {
			p["description"] = help
		}
		if a.Std != "" {
			p["default"] = a.Std
		}
		properties[a.Name] = p
		if a.Required && !slices.Contains(required, a.Name) {
			required = append(required, a.Name)
		}
	}
	text, _ := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
	return string(text)
}
