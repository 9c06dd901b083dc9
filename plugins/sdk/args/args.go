// Package args is how a command's arguments are read: as people type them, and as forms
// and assistants give them. What comes out is one JSON object, by the arguments' names:
// text, word, choice and user (an id) as strings, integer and number as numbers, boolean
// as true or false, duration in milliseconds.
package args

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Error says which argument is wrong, and why.
type Error struct {
	Argument string // "": the line as a whole
	Reason   string
}

func (e *Error) Error() string {
	if e.Argument == "" {
		return e.Reason
	}
	return e.Argument + ": " + e.Reason
}

// Users finds whom a word of a line means: a user id, @name or name.
type Users func(word string) (id string, ok bool)

// Parse reads what was typed after /name. Words in quotes ("", “”, 「」) are one; an
// argument of type text takes the rest of the line as it is. An error is an *Error.
func Parse(c *botv1.Command, line string, users Users) (string, error) {
	values := map[string]any{}
	rest := strings.TrimSpace(line)
	for _, a := range c.Args {
		if rest == "" {
			break
		}
		var word string
		if a.Type == "text" {
			word, rest = rest, ""
		} else {
			word, rest = next(rest)
		}
		v, err := value(a, word, users)
		if err != nil {
			return "", err
		}
		values[a.Name] = v
	}
	if rest != "" {
		return "", &Error{Reason: fmt.Sprintf("%q is too much", rest)}
	}
	return whole(c, values, users)
}

// Check reads what a form or an assistant gave: a JSON object, in which numbers and
// booleans may be texts. Names that the command does not have are left out.
func Check(c *botv1.Command, object string, users Users) (string, error) {
	given := map[string]any{}
	if strings.TrimSpace(object) != "" {
		if err := json.Unmarshal([]byte(object), &given); err != nil {
			return "", &Error{Reason: "no JSON object"}
		}
	}
	values := map[string]any{}
	for _, a := range c.Args {
		var word string
		switch v := given[a.Name].(type) {
		case nil:
			continue
		case string:
			word = v
		case bool:
			word = strconv.FormatBool(v)
		case float64:
			if a.Type == "duration" { // it is milliseconds already
				word = strconv.FormatFloat(v, 'f', 0, 64) + "ms"
				break
			}
			word = strconv.FormatFloat(v, 'f', -1, 64)
		case []any: // of an argument that is the rest of the line
			var words []string
			for _, w := range v {
				words = append(words, quote(fmt.Sprint(w)))
			}
			word = strings.Join(words, " ")
		default:
			return "", &Error{a.Name, "an object"}
		}
		if word == "" && !a.Required {
			continue
		}
		v, err := value(a, word, users)
		if err != nil {
			return "", err
		}
		values[a.Name] = v
	}
	return whole(c, values, users)
}

// whole adds defaults, and says what is missing.
func whole(c *botv1.Command, values map[string]any, users Users) (string, error) {
	for _, a := range c.Args {
		if _, ok := values[a.Name]; ok {
			continue
		}
		switch {
		case a.Std != "":
			v, err := value(a, a.Std, users)
			if err != nil {
				return "", err
			}
			values[a.Name] = v
		case a.Required:
			return "", &Error{a.Name, "is missing"}
		}
	}
	text, err := json.Marshal(values)
	return string(text), err
}

// value is a word as the argument wants it.
func value(a *botv1.Argument, word string, users Users) (any, error) {
	word = strings.ToValidUTF8(word, "\uFFFD")
	switch a.Type {
	case "integer":
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n > 1<<53 || n < -1<<53 {
			return nil, &Error{a.Name, fmt.Sprintf("%q is no whole number", word)}
		}
		return n, bounds(a, float64(n))
	case "number":
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, &Error{a.Name, fmt.Sprintf("%q is no number", word)}
		}
		return n, bounds(a, n)
	case "boolean":
		switch strings.ToLower(word) {
		case "true", "yes", "on", "1", "是", "开":
			return true, nil
		case "false", "no", "off", "0", "否", "关":
			return false, nil
		}
		return nil, &Error{a.Name, fmt.Sprintf("%q is neither yes nor no", word)}
	case "duration":
		d, err := Duration(word)
		if err != nil {
			return nil, &Error{a.Name, err.Error()}
		}
		return d.Milliseconds(), nil
	case "choice":
		for _, c := range a.Choices {
			if strings.EqualFold(c, word) {
				return c, nil
			}
		}
		return nil, &Error{a.Name, fmt.Sprintf("%q is none of %s", word, strings.Join(a.Choices, ", "))}
	case "user":
		if users == nil {
			return word, nil
		}
		if id, ok := users(word); ok {
			return id, nil
		}
		return nil, &Error{a.Name, fmt.Sprintf("%q is nobody here", word)}
	}
	if word == "" {
		return nil, &Error{a.Name, "is missing"}
	}
	return word, nil
}

func bounds(a *botv1.Argument, n float64) error {
	if (a.Min != 0 || a.Max != 0) && (n < a.Min || n > a.Max) {
		return &Error{a.Name, fmt.Sprintf("%v is not from %v to %v", n, a.Min, a.Max)}
	}
	return nil
}

// Schema is the JSON Schema of a command's arguments, as assistants get it.
func Schema(c *botv1.Command) string {
	properties := map[string]any{}
	required := []string{}
	for _, a := range c.Args {
		p := map[string]any{"type": "string"}
		help := a.Help
		switch a.Type {
		case "integer", "number", "boolean":
			p["type"] = a.Type
		case "duration":
			help = strings.TrimSpace(help + " (like 90s, 10m, 2h, 3d)")
		case "user":
			help = strings.TrimSpace(help + " (a user's id or name)")
		case "choice":
			p["enum"] = a.Choices
		}
		if help != "" {
			p["description"] = help
		}
		if a.Min != 0 || a.Max != 0 {
			p["minimum"], p["maximum"] = a.Min, a.Max
		}
		if a.Std != "" {
			p["default"] = a.Std
		}
		if a.Required {
			required = append(required, a.Name)
		}
		properties[a.Name] = p
	}
	text, _ := json.Marshal(map[string]any{
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
	})
	return string(text)
}

// Usage is how a command is written: /remind <in> <what> [who].
func Usage(c *botv1.Command) string {
	parts := []string{"/" + c.Name}
	for _, a := range c.Args {
		if a.Required {
			parts = append(parts, "<"+a.Name+">")
		} else {
			parts = append(parts, "["+a.Name+"]")
		}
	}
	return strings.Join(parts, " ")
}

var closing = map[rune]rune{'"': '"', '“': '”', '「': '」'}

// next takes the first word of a line, whose first letter is no space.
func next(line string) (word, rest string) {
	var b strings.Builder
	var end rune
	for i, r := range line {
		switch {
		case end != 0 && r == end:
			end = 0
		case end != 0:
			b.WriteRune(r)
		case closing[r] != 0 && (closing[r] != r || strings.ContainsRune(line[i+1:], r)):
			end = closing[r]
		case unicode.IsSpace(r):
			return b.String(), strings.TrimSpace(line[i:])
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), ""
}

// Words splits a line into words. What is in quotes ("", “”, 「」) is one word.
func Words(line string) []string {
	var words []string
	for rest := strings.TrimSpace(line); rest != ""; {
		var word string
		word, rest = next(rest)
		words = append(words, word)
	}
	return words
}

// quote is a word as Words reads it again.
func quote(word string) string {
	if word == "" || strings.ContainsFunc(word, unicode.IsSpace) || strings.ContainsAny(word, `"“”「」`) {
		for _, q := range [][2]string{{`"`, `"`}, {"「", "」"}, {"“", "”"}} {
			if !strings.Contains(word, q[0]) && !strings.Contains(word, q[1]) {
				return q[0] + word + q[1]
			}
		}
	}
	return word
}

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	"秒": time.Second, "分钟": time.Minute, "分": time.Minute, "小时": time.Hour, "天": 24 * time.Hour, "周": 7 * 24 * time.Hour,
}

// Duration reads 90s, 10m, 2h, 3d, 1w, 10分钟 and sums of them: 1h30m. A number alone is
// in minutes, as people mean it. A century is the longest.
func Duration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration: write 90s, 10m, 2h or 3d", text)
	rest := strings.ToLower(strings.TrimSpace(text))
	if rest == "" {
		return 0, bad
	}
	number := func(r rune) bool { return r >= '0' && r <= '9' || r == '.' }
	if !strings.ContainsFunc(rest, func(r rune) bool { return !number(r) }) {
		rest += "m"
	}
	var sum float64
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return !number(r) })
		if i <= 0 {
			return 0, bad
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[i:]
		j := strings.IndexFunc(rest, number)
		if j < 0 {
			j = len(rest)
		}
		unit, ok := units[strings.TrimSpace(rest[:j])]
		if !ok {
			return 0, bad
		}
		sum += n * float64(unit)
		rest = rest[j:]
	}
	if sum > float64(100*365*24*time.Hour) {
		return 0, fmt.Errorf("%q is longer than a century", text)
	}
	return time.Duration(sum), nil
}

// Split takes a message that may be a command apart: /name args, /name@handle args. A
// text that is none has no name. Full-width ／ counts as well.
func Split(text string) (name, handle, line string) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		if rest, ok = strings.CutPrefix(text, "／"); !ok {
			return "", "", ""
		}
	}
	i := strings.IndexFunc(rest, unicode.IsSpace)
	if i < 0 {
		i = len(rest)
	}
	name, handle, _ = strings.Cut(rest[:i], "@")
	name = strings.ToLower(name)
	legal := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' }
	if name == "" || len(name) > 32 || slices.ContainsFunc([]rune(name), func(r rune) bool { return !legal(r) }) {
		return "", "", ""
	}
	return name, handle, strings.TrimSpace(rest[i:])
}
