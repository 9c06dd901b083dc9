package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

const manageAppsUsage = `usage:
  troupe key make NAME --scopes A,B [--life TIME]   a server key, which is printed
  troupe key list
  troupe key revoke KEY
  troupe app make NAME [--pages A,B] [--members A,B] [--guests]   an application and its secret, which is printed
  troupe app list
  troupe app limits APP [--kinds A,B] [--types A,B] [--max KIND=BYTES,…] [--total BYTES]
             [--total-guests BYTES] [--lift]   what bounds its users' files, and what they take
  troupe app secret APP           a second secret, which is printed
  troupe app revoke APP SECRET    end a secret
  troupe app remove APP

A running server does it, asked through DATA/admin.sock; of a stopped one the data
directory is opened. docs/identity.md says what scopes and applications are.`

// managingApps are the commands of manageApps, and how many arguments each takes.
var managingApps = map[string]int{
	"key make": 1, "key list": 0, "key revoke": 1,
	"app make": 1, "app list": 0, "app limits": 1, "app secret": 1, "app revoke": 2, "app remove": 1,
}

// manageApps does at the command line what administrators do to keys and applications.
func (p *program) manageApps(ctx context.Context, command string, args []string) error {
	var in aboutKey
	var scopes, origins, members string
	var limits aboutLimits
	l, err := p.settings(args, manageAppsUsage, func(f *flag.FlagSet) {
		switch command {
		case "key make":
			f.StringVar(&scopes, "scopes", "", "what it may do, with commas between")
			f.Func("life", "until it ends, like 90d; without it does not end by itself", func(s string) (err error) {
				in.Life, err = parseLife(s)
				return err
			})
		case "app make":
			f.StringVar(&origins, "pages", "", "web origins of its pages, with commas between")
			f.StringVar(&members, "members", "", "ids of the users who answer its visitors, with commas between")
			f.BoolVar(&in.Guests, "guests", false, "visitors may come without a name")
		case "app limits":
			limits.flags(f)
		}
	})
	if err != nil {
		return err
	}
	if n := managingApps[command]; len(l.args) != n {
		return errUsage{fmt.Errorf("%s takes %d arguments, not %d\n%s", command, n, len(l.args), manageAppsUsage)}
	}
	arg := append(l.args, "", "")
	in.Scopes, in.Origins, in.Members = words(scopes), words(origins), words(members)
	name := strings.ReplaceAll(command, " ", "-")
	switch command {
	case "key make", "app make", "app secret":
		in.Name, in.App = arg[0], arg[0]
		var made madeKey
		if err := p.do(ctx, &l.Config, name, in, &made); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s is made; what follows is shown only now: %s\n", made.ID, made.Text)
		return nil
	case "app limits":
		limits.App = arg[0]
		var v json.RawMessage
		return p.show(p.do(ctx, &l.Config, name, limits, &v), v)
	case "key list", "app list":
		w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
		for {
			var page keyRows
			if err := p.do(ctx, &l.Config, name, in, &page); err != nil {
				return err
			}
			for _, k := range page.Rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(append(k.Scopes, k.Origins...), ","), k.Ends, k.State)
				in.After = k.ID
			}
			if len(page.Rows) < managePage {
				return w.Flush()
			}
		}
	}
	in.Key, in.App = arg[0], arg[0]
	if command == "app revoke" {
		in.Key = arg[1]
	}
	if err := p.do(ctx, &l.Config, name, in, &struct{}{}); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is done with %s\n", command, strings.Join(l.args, " "))
	return nil
}

// flags adds the flags of app limits. What is not said stays; "" bounds nothing.
func (in *aboutLimits) flags(f *flag.FlagSet) {
	f.BoolVar(&in.Lift, "lift", false, "take all limits away that are not said beside it")
	f.Func("kinds", "`KINDS` that are taken, with commas between", func(s string) error {
		all := append([]string{}, words(s)...)
		in.Kinds = &all
		return nil
	})
	f.Func("types", "`TYPES` that are taken, like application/pdf,image/*", func(s string) error {
		all := append([]string{}, words(s)...)
		in.Types = &all
		return nil
	})
	f.Func("max", "bytes of one file by kind, like image=5MiB,video=50MiB", func(s string) error {
		all := map[string]int64{}
		for _, w := range words(s) {
			kind, size, _ := strings.Cut(w, "=")
			n, err := parseSize(size)
			if err != nil {
				return err
			}
			all[kind] = n
		}
		in.Max = &all
		return nil
	})
	bytes := func(to **int64) func(string) error {
		return func(s string) error {
			n, err := parseSize(s)
			*to = &n
			return err
		}
	}
	f.Func("total", "`BYTES` of all its users' files together; 0: no bound of its own", bytes(&in.Quota))
	f.Func("total-guests", "`BYTES` of its visitors' files together; 0: no bound of their own", bytes(&in.QuotaGuests))
}

// words are what stands between commas.
func words(list string) (all []string) {
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			all = append(all, w)
		}
	}
	return all
}

// parseLife reads a time that may be in days.
func parseLife(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		return 24 * d, err
	}
	return time.ParseDuration(s)
}
