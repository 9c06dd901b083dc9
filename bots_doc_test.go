package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

// snippets gives the blocks of one language in a page, in order.
func snippets(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1]+"\n")
	}
	if len(all) == 0 {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return all
}

// pages are those whose snippets are a bot author's.
var pages = []string{"docs/bots.md", "README.md"}

func TestTheHelloBotHasFifteenLines(t *testing.T) {
	hello := snippets(t, "docs/bots.md", "go")[0]
	if n := strings.Count(hello, "\n"); n > 15 || !strings.Contains(hello, "package main") || !strings.Contains(hello, "func main()") {
		t.Errorf("the first bot of docs/bots.md has %d lines, and is to be whole within 15:\n%s", n, hello)
	}
}

// Every snippet is compiled as it stands, or as a function's body that knows c. What is a
// test is run.
func TestGoSnippetsForBotAuthorsCompile(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// They are packages of a module of their own, as a bot's author has it.
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	write("go.mod", "module snippets\n\ngo 1.26.0\n\nrequire github.com/troupe-im/troupe v0.0.0\n\nreplace github.com/troupe-im/troupe => "+root+"\n")
	for _, page := range pages {
		for i, text := range snippets(t, page, "go") {
			file := "snippet.go"
			if strings.Contains(text, "func Test") {
				file = "snippet_test.go"
			}
			write(fmt.Sprintf("%s%02d/%s", strings.ToLower(strings.TrimSuffix(filepath.Base(page), ".md")), i+1, file), snippetFile(text))
		}
	}
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off") // at most the go.mod of modules that are not built is fetched
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
}

var imports = map[string]string{
	"sdk.": "github.com/troupe-im/troupe/plugins/sdk", "bottest.": "github.com/troupe-im/troupe/plugins/sdk/bottest",
	"elsewhere.": "github.com/troupe-im/troupe/plugins/sdk/elsewhere", "context.": "context", "os.": "os",
	"fmt.": "fmt", "time.": "time", "errors.": "errors", "strings.": "strings", "http.": "net/http", "rand.": "math/rand/v2", "testing.": "testing",
}

// snippetFile is a snippet as a file.
func snippetFile(text string) string {
	if strings.HasPrefix(text, "package ") {
		return text
	}
	// Top-level declarations, and behind them perhaps what stands in a function.
	topLevel := regexp.MustCompile(`(?m)^(func |var )`).MatchString(text)
	body := text
	if !topLevel {
		declared := ""
		if loc := regexp.MustCompile(`(?s)^type .*?(\n}\n|}\n)`).FindStringIndex(text); loc != nil {
			declared, body = text[:loc[1]], text[loc[1]:]
		}
		if regexp.MustCompile(`(?m)^return `).MatchString(body) {
			body = declared + "\nvar _ = func(c *sdk.Ctx) error {\n" + body + "}\n"
		} else {
			body = declared + "\nvar _ = func() {\n" + body + "}\n"
		}
	}
	if !strings.Contains(text, "func main()") && !strings.Contains(text, "func Test") {
		body += "\nfunc main() {}\n"
	}
	var head strings.Builder
	head.WriteString("package main\n\nimport (\n")
	var names []string
	for use := range imports {
		if regexp.MustCompile(`(^|[^\w.])` + regexp.QuoteMeta(use)).MatchString(body) {
			names = append(names, imports[use])
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&head, "\t%q\n", name)
	}
	head.WriteString(")\n\n")
	return head.String() + body
}

func TestNodeSnippetsForBotAuthorsAreSyntax(t *testing.T) {
	tool(t, "node")
	for i, text := range snippets(t, "plugins/sdk-node/README.md", "js") {
		file := filepath.Join(t.TempDir(), "snippet.mjs")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "node", "--check", file).CombinedOutput(); err != nil {
			t.Errorf("snippet %d: %v\n%s", i+1, err, out)
		}
	}
}

// refusals are what a bot's connection may be refused with, besides the protocol's codes.
var refusals = []string{"BAD_DESCRIBE", "DESCRIBED", "DESCRIBE_FIRST", "DESCRIBE_LATE", "PROTOCOL", "WRONG_ID"}

func TestEveryCodeHasAPageForBotAuthors(t *testing.T) {
	codes := slices.Clone(refusals)
	for n, name := range protocol.Code_name {
		if n != 0 {
			codes = append(codes, name)
		}
	}
	slices.Sort(codes)
	index, err := os.ReadFile("docs/errors/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		page, err := os.ReadFile("docs/errors/" + code + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{"# " + code + "\n", "\n## Why\n", "\n## What to do\n"} {
			if !strings.Contains(string(page), part) {
				t.Errorf("docs/errors/%s.md has no %q", code, part)
			}
		}
		if !strings.Contains(string(index), "["+code+"]("+code+".md)") {
			t.Errorf("docs/errors/README.md has no link to %s", code)
		}
	}
	files, err := filepath.Glob("docs/errors/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" && !slices.Contains(codes, name) {
			t.Errorf("%s is about a code that there is not", file)
		}
	}
}

// A bot's connection is refused with nothing that has no page.
func TestNoRefusalIsWithoutAPage(t *testing.T) {
	for _, dir := range []string{"plugins/desk", "plugins/remote"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?:refuse\(|RefusedError\{|Refused\{Code: )"([A-Z_]+)"`).FindAllStringSubmatch(string(text), -1) {
				if _, ok := protocol.Code_value[m[1]]; !ok && !slices.Contains(refusals, m[1]) {
					t.Errorf("%s refuses with %s, which has no page", file, m[1])
				}
			}
		}
	}
}
