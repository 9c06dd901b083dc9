package main

import (
	"errors"
	"fmt"

	"github.com/troupe-im/troupe/userctr"
)

// secrets makes the file that the setting of that name is about.
func (p *program) secrets(args []string) error {
	if len(args) != 2 || args[0] != "new" {
		return errUsage{errors.New("troupe secrets new FILE")}
	}
	if err := userctr.NewSecrets(args[1]); err != nil {
		return err
	}
	fmt.Fprintln(p.out, args[1]+": made. Every node gets this file (the setting secrets). Keep a copy apart: without it every sign-in ends.")
	return nil
}
