package rows

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What is not in Tables keeps an installation from being moved, so it is found out here.
func TestEveryTableIsAmongTables(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant, found := regexp.MustCompile(`(?m)^(?:const)?\s*(table\w+)\s*=\s*(0x[0-9a-f]{2})\b`), 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			n, err := strconv.ParseUint(m[2], 0, 8)
			if err != nil {
				t.Fatal(err)
			}
			if found++; !Has(byte(n)) {
				t.Errorf("%s (%s) is not in Tables", m[1], file)
			}
		}
	}
	all := 0
	for _, tables := range Tables {
		all += len(tables)
	}
	if found != all {
		t.Errorf("%d tables are found in the source, and Tables has %d", found, all)
	}
}
