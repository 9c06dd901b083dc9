package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/troupe-im/troupe/userctr"
)

const userAddUsage = `usage: troupe user add NAME [--admin] [--nickname TEXT] [--password-stdin | --generate] [flags]

Makes a user, whoever may register. A running server does it, asked through
DATA/admin.sock; of a stopped one the data directory is opened. The password is
asked for on the terminal; --password-stdin reads it from standard input, and
--generate makes one and prints it.`

// userAdd makes a user without asking who may register: who may open the data
// directory may.
func (p *program) userAdd(ctx context.Context, args []string) error {
	n := newUser{}
	stdin, generate := false, false
	l, err := p.settings(args, userAddUsage, func(f *flag.FlagSet) {
		f.BoolVar(&n.Admin, "admin", false, "an administrator of this installation")
		f.StringVar(&n.Nickname, "nickname", "", "the name that is shown")
		f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
		f.BoolVar(&generate, "generate", false, "make a password and print it")
	})
	if err != nil {
		return err
	}
	if len(l.args) != 1 {
		return errUsage{errors.New("user add takes one name: troupe user add NAME")}
	}
	n.Name = l.args[0]
	if n.Password, err = p.password(stdin, generate); err != nil {
		return err
	}
	var made madeUser
	err = askAdmin(ctx, l.Data, "POST", "/users", n, &made)
	if errors.Is(err, errNotRunning) {
		err = p.withData(&l.Config, func(d *data) error {
			u, err := d.users.CreateUser(ctx, userctr.NewUser{Name: n.Name, Password: n.Password, Nickname: n.Nickname, Admin: n.Admin})
			if err == nil {
				made = madeUser{ID: u.ID, Name: u.Name}
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is user %s\n", made.Name, made.ID)
	if generate {
		fmt.Fprintf(p.out, "password: %s\n", n.Password)
	}
	return nil
}

// password is read from the terminal, or from standard input where that is
// wanted or no terminal is there, or made.
func (p *program) password(stdin, generate bool) (string, error) {
	if generate {
		b := make([]byte, 12)
		rand.Read(b)
		return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)), nil
	}
	if f, ok := p.in.(*os.File); ok && !stdin && term.IsTerminal(int(f.Fd())) {
		return askPassword(p.err, int(f.Fd()))
	}
	line, err := bufio.NewReader(p.in).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("no password came on standard input; --generate makes one")
		}
		return "", err
	}
	return line, nil
}

func askPassword(w io.Writer, fd int) (string, error) {
	fmt.Fprint(w, "password: ")
	first, err := term.ReadPassword(fd)
	fmt.Fprint(w, "\nonce more: ")
	if err != nil {
		return "", err
	}
	second, err := term.ReadPassword(fd)
	fmt.Fprintln(w)
	if err == nil && string(first) != string(second) {
		err = errors.New("the two are not the same")
	}
	return string(first), err
}
