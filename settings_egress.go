package main

import (
	"fmt"
	"strconv"
	"strings"
)

// ports reads numbers of ports with commas between them.
func ports(name, std, help string, to *[]int) setting {
	return setting{name: name, std: std, help: help, parse: func(s string) error {
		all := []int{}
		for _, part := range split(s) {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n > 65535 {
				return fmt.Errorf("%q is no port, like 443", part)
			}
			all = append(all, n)
		}
		if len(all) == 0 {
			return fmt.Errorf("a port is needed, like 443")
		}
		*to = all
		return nil
	}, show: func() string {
		var parts []string
		for _, n := range *to {
			parts = append(parts, strconv.Itoa(n))
		}
		return strings.Join(parts, ",")
	}}
}
