package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/filectr"
)

// kinds reads kinds of files with commas between them.
func kinds(name, std, help string, to *[]filectr.Kind) setting {
	known := []filectr.Kind{filectr.Image, filectr.Voice, filectr.Video, filectr.Package, filectr.Document}
	return setting{name: name, std: std, help: help, parse: func(s string) error {
		all := []filectr.Kind{}
		for _, part := range split(s) {
			k := filectr.Kind(part)
			if !slices.Contains(known, k) {
				return fmt.Errorf("%q is no kind of files, like image", part)
			}
			all = append(all, k)
		}
		*to = all
		return nil
	}, show: func() string {
		var parts []string
		for _, k := range *to {
			parts = append(parts, string(k))
		}
		return strings.Join(parts, ",")
	}}
}
