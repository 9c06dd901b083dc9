package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/troupe-im/troupe/userctr"
)

const manageUsage = `usage:
  troupe user find [TEXT]         users whose id is TEXT, or whose name or nickname begins with it
  troupe user show USER           one user, with devices and logins
  troupe user disable USER        shut a user out: logins end, sockets close
  troupe user enable USER         let a user in again
  troupe user reset USER          a new password, which is printed, and no login any more
  troupe user admin USER [--revoke]   make a user an administrator, or no more
  troupe user export USER FILE    all that is kept of a user, as a ZIP
  troupe user erase USER --yes [--messages tombstone|keep]
  troupe session find SESSION|USER    a session, or those that a user is in
  troupe session show SESSION     a session with its members
  troupe session dissolve SESSION end a group for all
  troupe session recall MESSAGE   take a message away
  troupe session held SESSION     what moderation holds back in a session, the newest first
  troupe session release MESSAGE  let a message stand that moderation changed or holds back
  troupe session reject MESSAGE   take away what moderation changed or holds back
  troupe audit list [--limit N]   what was done, the newest first
  troupe audit export             all of it, as JSON lines, the oldest first
  troupe audit verify [--file FILE]   whether a row was changed or taken away; FILE is an export
  troupe files check [--deep]     whether the contents of all files are there; --deep: and undamaged
  troupe files put DIR [--deep]   keep contents that files lack and that DIR has, like BACKUP/files/blobs;
                                  --deep: also in the place of damaged ones

USER is an id or a name. A running server does it, asked through DATA/admin.sock; of
a stopped one the data directory is opened.`

// managing are the commands of manage, and how many arguments each takes.
var managing = map[string][2]int{
	"user find": {0, 1}, "user show": {1, 1}, "user disable": {1, 1}, "user enable": {1, 1}, "user reset": {1, 1},
	"user admin": {1, 1}, "user export": {2, 2}, "user erase": {1, 1},
	"session find": {1, 1}, "session show": {1, 1}, "session dissolve": {1, 1}, "session recall": {1, 1}, "session held": {1, 1}, "session release": {1, 1}, "session reject": {1, 1},
	"audit list": {0, 0}, "audit export": {0, 0}, "audit verify": {0, 0},
	"files check": {0, 0}, "files put": {1, 1},
}

// manage does what administrators do at the command line.
func (p *program) manage(ctx context.Context, command string, args []string) error {
	var revoke, yes, deep bool
	var messages, file string
	limit := 50
	l, err := p.settings(args, manageUsage, func(f *flag.FlagSet) {
		switch command {
		case "user admin":
			f.BoolVar(&revoke, "revoke", false, "no administrator any more")
		case "user erase":
			f.BoolVar(&yes, "yes", false, "it is meant: nothing brings the user back")
			f.StringVar(&messages, "messages", "", "tombstone or keep, by default as the setting erase-messages says")
		case "audit verify":
			f.StringVar(&file, "file", "", "an export to check, in the place of the log itself")
		case "files check", "files put":
			f.BoolVar(&deep, "deep", false, "read all of them, and compare their sums")
		case "audit list":
			f.IntVar(&limit, "limit", limit, "rows")
		}
	})
	if err != nil {
		return err
	}
	if n := managing[command]; len(l.args) < n[0] || len(l.args) > n[1] {
		return errUsage{fmt.Errorf("%s does not take %d arguments\n%s", command, len(l.args), manageUsage)}
	}
	c, arg := &l.Config, append(l.args, "", "")
	user := aboutUser{User: arg[0]}
	var done userctr.AdminUser
	say := func(err error, format string, args ...any) error {
		if err == nil {
			fmt.Fprintf(p.out, format+"\n", args...)
		}
		return err
	}
	switch command {
	case "user find":
		return p.userFind(ctx, c, arg[0])
	case "user show":
		var v json.RawMessage
		return p.show(p.do(ctx, c, "user-show", user, &v), v)
	case "user disable", "user enable":
		user.Flag = command == "user disable"
		err := p.do(ctx, c, "user-disable", user, &done)
		return say(err, "%s is %s", done.UserID, map[bool]string{true: "shut out", false: "let in"}[user.Flag])
	case "user reset":
		var out newPassword
		err := p.do(ctx, c, "user-reset", user, &out)
		return say(err, "%s has a new password, which is shown only now: %s", out.User, out.Password)
	case "user admin":
		user.Flag = !revoke
		err := p.do(ctx, c, "user-admin", user, &done)
		return say(err, "%s is %s", done.UserID, map[bool]string{true: "an administrator", false: "no administrator"}[done.Admin])
	case "user export":
		if user.File, err = filepath.Abs(arg[1]); err != nil {
			return err
		}
		err := p.do(ctx, c, "user-export", user, &done)
		return say(err, "what is kept of %s is in %s", done.UserID, user.File)
	case "user erase":
		if !yes {
			return errUsage{errors.New("user erase cannot be undone: say --yes")}
		}
		user.Messages = messages
		err := p.do(ctx, c, "user-erase", user, &done)
		return say(err, "%s is erased; backups made before still have what was kept", done.UserID)
	case "session find":
		return p.sessionFind(ctx, c, arg[0])
	case "session show":
		return p.sessionShow(ctx, c, arg[0])
	case "session dissolve":
		return say(p.do(ctx, c, "session-dissolve", aboutSession{Session: arg[0]}, &struct{}{}), "%s is dissolved", arg[0])
	case "session recall":
		return say(p.do(ctx, c, "session-recall", aboutSession{Message: arg[0]}, &struct{}{}), "%s is taken away", arg[0])
	case "session held":
		var got heldMessages
		return p.show(p.do(ctx, c, "session-held", aboutSession{Session: arg[0]}, &got), got)
	case "session release":
		return say(p.do(ctx, c, "session-release", aboutSession{Message: arg[0]}, &struct{}{}), "%s stands as it was written", arg[0])
	case "session reject":
		return say(p.do(ctx, c, "session-reject", aboutSession{Message: arg[0]}, &struct{}{}), "%s is not to be seen any more", arg[0])
	case "files check", "files put":
		return p.filesOf(ctx, c, arg[0], deep)
	case "audit list":
		return p.auditList(ctx, c, limit)
	case "audit export":
		return p.auditExport(ctx, c)
	}
	return p.auditVerify(ctx, c, file)
}

// show prints JSON as people read it.
func (p *program) show(err error, v any) error {
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(p.out, "%s\n", text)
	}
	return err
}

// managePage is how much is asked for at a time: an answer has at most 1 MiB.
const managePage = 500

func (p *program) userFind(ctx context.Context, c *Config, query string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for in := (findIn{Query: query, Limit: managePage}); ; {
		var page foundUsers
		if err := p.do(ctx, c, "user-find", in, &page); err != nil {
			return err
		}
		for _, u := range page.Items {
			var marks []string
			for mark, is := range map[string]bool{"administrator": u.Admin, "disabled": u.Disabled && !u.Erased, "erased": u.Erased} {
				if is {
					marks = append(marks, mark)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.UserID, u.Name, u.Nickname, u.Kind, strings.Join(marks, ", "))
		}
		if in.After = page.Next; in.After == "" {
			return w.Flush()
		}
	}
}

func (p *program) sessionFind(ctx context.Context, c *Config, query string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for in := (findIn{Query: query, Limit: managePage}); ; in.From += managePage {
		var page foundSessions
		if err := p.do(ctx, c, "session-find", in, &page); err != nil {
			return err
		}
		for _, s := range page.Items {
			fmt.Fprintf(w, "%s\t%s\t%d members\t%d entries\t%s\n", s.Session, s.Type, s.Members, s.Head, s.Name)
		}
		if !page.More {
			return w.Flush()
		}
	}
}

func (p *program) sessionShow(ctx context.Context, c *Config, id string) error {
	var whole *adminSession
	for in := (aboutSession{Session: id}); ; {
		var v adminSession
		if err := p.do(ctx, c, "session-show", in, &v); err != nil {
			return err
		}
		if in.Cursor = v.Next; whole == nil {
			whole = &v
		} else {
			whole.People = append(whole.People, v.People...)
		}
		if whole.Next = ""; in.Cursor == "" {
			return p.show(nil, whole)
		}
	}
}

func (p *program) auditList(ctx context.Context, c *Config, limit int) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for from := int64(0); limit > 0; {
		var page auditRows
		if err := p.do(ctx, c, "audit-back", rowsFrom{from, min(limit, managePage)}, &page); err != nil {
			return err
		}
		for _, text := range page.Rows {
			var r userctr.Record
			if err := json.Unmarshal(text, &r); err != nil {
				return err
			}
			what := r.Action
			if r.Refused {
				what += ", refused"
			}
			if r.Count > 1 {
				what += fmt.Sprintf(" %d times", r.Count)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Seq, time.UnixMilli(r.At).UTC().Format(time.RFC3339), what, r.By, r.About, r.Note)
			from = r.Seq
		}
		if limit -= len(page.Rows); len(page.Rows) == 0 || from == 1 {
			break
		}
	}
	return w.Flush()
}

func (p *program) auditExport(ctx context.Context, c *Config) error {
	w := bufio.NewWriter(p.out)
	for from := int64(0); ; {
		var page auditRows
		if err := p.do(ctx, c, "audit-rows", rowsFrom{from, managePage}, &page); err != nil {
			return err
		}
		for _, text := range page.Rows {
			var r userctr.Record
			if err := json.Unmarshal(text, &r); err != nil {
				return err
			}
			from = r.Seq + 1
			fmt.Fprintf(w, "%s\n", text)
		}
		if len(page.Rows) < managePage {
			return w.Flush()
		}
	}
}

func (p *program) auditVerify(ctx context.Context, c *Config, file string) error {
	var found userctr.Checked
	if file != "" {
		text, err := os.ReadFile(file)
		if file == "-" {
			text, err = io.ReadAll(p.in)
		}
		if err != nil {
			return err
		}
		found = userctr.CheckExport(text)
	} else if err := p.do(ctx, c, "audit-verify", struct{}{}, &found); err != nil {
		return err
	}
	if found.Bad != 0 {
		return fmt.Errorf("row %d is not as it was written: %s", found.Bad, found.Wrong)
	}
	fmt.Fprintf(p.out, "%d rows, %d to %d, are as they were written; the newest has the hash %s\n", found.Rows, found.From, found.Last, found.Hash)
	return nil
}
