// Gen writes the Go types, the JSON codec, the TypeScript types and the tables of
// docs/protocol.md from troupe.proto. Run by go generate it starts protoc, which
// starts protoc-gen-go and, as a plugin, this program once more.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	protoFile   = "internal/protocol/troupe.proto"
	optionsFile = "internal/protocol/options.proto"
	docsFile    = "docs/protocol.md"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "protoc" {
		if err := protoc(); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
		return
	}
	protogen.Options{}.Run(generate)
}

// protoc runs protoc in the repository's root, which the imports are relative to.
func protoc() error {
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tool, err := exec.Command("go", "tool", "-n", "protoc-gen-go").Output()
	if err != nil {
		return fmt.Errorf("go tool -n protoc-gen-go: %w", err)
	}
	cmd := exec.Command("protoc",
		"--plugin=protoc-gen-go="+strings.TrimSpace(string(tool)),
		"--plugin=protoc-gen-troupe="+self,
		"--go_out=.", "--go_opt=paths=source_relative",
		"--troupe_out=.", optionsFile, protoFile)
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("protoc (Debian's protobuf-compiler 3.21.12): %w", err)
	}
	return nil
}

func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, protoFile)); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no " + protoFile + " above here")
		}
		dir = up
	}
}

func generate(plugin *protogen.Plugin) error {
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)
	s, err := readSchema(plugin)
	if err != nil {
		return err
	}
	writeGo(plugin, s)
	writeTypeScript(plugin, s)
	return writeTables(plugin, s)
}
