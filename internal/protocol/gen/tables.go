package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// writeTables puts the tables of troupe.proto into docs/protocol.md, each between
// a pair of markers: <!-- table NAME --> and <!-- end -->.
func writeTables(plugin *protogen.Plugin, s *schema) error {
	page, err := os.ReadFile(docsFile) // protoc runs in the repository's root
	if err != nil {
		return err
	}
	tables := map[string]string{
		"requests": s.frameTable(func(f *frame) bool { return f.answer != "" }),
		"pushes":   s.frameTable(func(f *frame) bool { return f.answer == "" && !strings.HasSuffix(f.typ, "_reply") }),
		"envelope": s.fieldTable(s.envelope),
		"objects":  s.objectTables(),
		"codes":    s.codeTable(),
		"closes":   s.closeTable(),
		"content":  s.enumTable("ContentType"),
		"kinds":    s.enumTable("Kind"),
		"sessions": s.enumTable("SessionType"),
		"roles":    s.enumTable("Role"),
		"asks":     s.enumTable("RequestKind"),
	}
	examples, err := readExamples()
	if err != nil {
		return err
	}
	g := plugin.NewGeneratedFile(docsFile, "")
	rest := string(page)
	for {
		before, after, found := strings.Cut(rest, "<!-- table ")
		g.P(strings.TrimSuffix(before, "\n"))
		if !found {
			return nil
		}
		name, after, _ := strings.Cut(after, " -->")
		_, after, ended := strings.Cut(after, "<!-- end -->\n")
		table, ok := tables[name]
		if example, is := strings.CutPrefix(name, "example "); is {
			table, ok = examples[example]
		}
		if !ok || !ended {
			return errors.New(docsFile + ": no such table, or no end of it: " + name)
		}
		g.P("<!-- table ", name, " -->")
		g.P(table, "<!-- end -->")
		rest = after
	}
}

// readExamples gives the corpus's frames by their names, as Markdown.
func readExamples() (map[string]string, error) {
	files, err := filepath.Glob("internal/protocol/testdata/frames/*.txt")
	if err != nil {
		return nil, err
	}
	examples := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := ""
		for _, line := range strings.Split(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "# "); ok {
				name = rest
			} else if rest, ok := strings.CutPrefix(line, "> "); ok {
				examples[name] = "```json\n" + rest + "\n```\n"
			}
		}
	}
	return examples, nil
}

// frameTable has one row per frame, a request together with its answer.
func (s *schema) frameTable(in func(*frame) bool) string {
	var b strings.Builder
	answered := false
	for _, f := range s.frames {
		answered = answered || in(f) && f.answer != ""
	}
	if answered {
		b.WriteString("| type | fields | its answer's fields |\n|---|---|---|\n")
	} else {
		b.WriteString("| type | fields |\n|---|---|\n")
	}
	for _, f := range s.frames {
		if !in(f) {
			continue
		}
		name := "`" + f.typ + "`"
		for _, a := range f.aliases {
			name += " (also `" + a + "`)"
		}
		fmt.Fprintf(&b, "| %s | %s |", name, s.fieldList(f.field.Message))
		if answered {
			for _, g := range s.frames {
				if g.typ == f.answer {
					fmt.Fprintf(&b, " %s |", s.fieldList(g.field.Message))
				}
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *schema) fieldList(m *protogen.Message) string {
	var list []string
	for _, f := range m.Fields {
		list = append(list, s.mark(f)+s.kind(f))
	}
	return strings.Join(list, ", ")
}

// mark is a field's name, with a ? unless it must be there.
func (s *schema) mark(f *protogen.Field) string {
	name := f.Desc.JSONName()
	if !s.need(f) {
		name += "?"
	}
	return "`" + name + "`"
}

// kind is a field's type where it is not a plain value.
func (s *schema) kind(f *protogen.Field) string {
	switch {
	case f.Message != nil && f.Desc.IsMap() && f.Message.Fields[1].Message != nil:
		return " {id: " + link(string(f.Message.Fields[1].Message.Desc.Name())) + "}"
	case f.Desc.IsMap():
		return " {id: number}"
	case f.Message != nil && f.Desc.IsList():
		return " [" + link(string(f.Message.Desc.Name())) + "]"
	case f.Message != nil:
		return " " + link(string(f.Message.Desc.Name()))
	case f.Desc.IsList():
		return " []"
	}
	return ""
}

func link(name string) string { return "[" + name + "](#" + strings.ToLower(name) + ")" }

func (s *schema) fieldTable(fields []*protogen.Field) string {
	var b strings.Builder
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for _, f := range fields {
		typ := tsType(s, f)
		if s.raw(f) {
			typ = "any JSON"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.mark(f), typ, cell(comment(f.Comments)))
	}
	return b.String()
}

// objectTables has the objects that stand inside frames.
func (s *schema) objectTables() string {
	var b strings.Builder
	for _, m := range s.messages {
		inner := m.Desc.Name() != "Error"
		for _, f := range s.frames {
			// A msg_push is an Entry, and a presence stands in lists too: those are objects as well.
			if f.field.Message == m && m.Desc.Name() != "Entry" && m.Desc.Name() != "Presence" {
				inner = false
			}
		}
		if inner {
			fmt.Fprintf(&b, "### %s\n%s\n", m.Desc.Name(), s.fieldTable(m.Fields))
		}
	}
	return b.String()
}

func (s *schema) enum(name string) *protogen.Enum {
	for _, e := range s.enums {
		if string(e.Desc.Name()) == name {
			return e
		}
	}
	panic("no enum " + name)
}

func (s *schema) enumTable(name string) string {
	var b strings.Builder
	b.WriteString("| number | word | |\n|---|---|---|\n")
	for _, v := range s.enum(name).Values {
		var notes []string
		if also := s.options.texts(v.Desc, "also"); also != nil {
			notes = append(notes, "also read: `"+strings.Join(also, "`, `")+"`")
		}
		if s.options.flag(v.Desc, "reserved") {
			notes = append(notes, "refused when a client sends it")
		}
		if c := comment(v.Comments); c != "" {
			notes = append(notes, cell(c))
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", v.Desc.Number(), s.word(v), strings.Join(notes, "; "))
	}
	return b.String()
}

func (s *schema) codeTable() string {
	var b strings.Builder
	b.WriteString("| errcode | code | HTTP status | closes with | |\n|---|---|---|---|---|\n")
	for _, v := range s.enum("Code").Values {
		closes := "–"
		if n := s.options.number(v.Desc, "close"); n != 0 {
			closes = strconv.FormatInt(n, 10)
		}
		fmt.Fprintf(&b, "| %d | `%s` | %d | %s | %s |\n", v.Desc.Number(), s.word(v),
			s.options.number(v.Desc, "http"), closes, cell(comment(v.Comments)))
	}
	return b.String()
}

func (s *schema) closeTable() string {
	var b strings.Builder
	b.WriteString("| close code | code | reconnect? |\n|---|---|---|\n")
	for _, v := range s.enum("Code").Values {
		n := s.options.number(v.Desc, "close")
		if n == 0 {
			continue
		}
		again := "no, before something is changed"
		if n >= 4000 && n < 4500 {
			again = "yes"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", n, s.word(v), again)
	}
	return b.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
