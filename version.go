package main

import (
	"runtime"
	"runtime/debug"
)

// release is set by the linker: -X main.release=v1.2.3.
var release string

// version is the release, or the commit this was built from.
func version() string {
	v, commit, changed := release, "", ""
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = "+changes"
			}
		}
	}
	if v == "" {
		v = "dev"
	}
	if commit != "" {
		v += " (" + commit + changed + ")"
	}
	return v + " " + runtime.Version()
}
