package template_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/plugins/sdk/template"
)

func TestTheProjectBuildsAndPassesItsTest(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "my-bot")
	names, err := template.Write(dir, template.Project{ID: "my-bot", Replace: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(text), "[[") || len(text) == 0 {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	// What its modules are is known here; at most the go.mod of some that are not built is fetched.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "./..."}, {"build", "-o", "my-bot", "."}, {"test", "./..."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GONOSUMDB=*", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	out, err := exec.Command(filepath.Join(dir, "my-bot")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "it is run by Troupe") {
		t.Errorf("run by hand it says %v, %s", err, out)
	}
	if _, err := template.Write(dir, template.Project{ID: "my-bot"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over what is there: %v", err)
	}
}

func TestABotsNameIsChecked(t *testing.T) {
	for _, name := range []string{"", "My-bot", "a/b", "9lives", strings.Repeat("a", 33)} {
		if _, err := template.Write(t.TempDir(), template.Project{ID: name}); err == nil {
			t.Errorf("%q is a bot's name", name)
		}
	}
}
