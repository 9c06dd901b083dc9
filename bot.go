package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
)

const botUsage = `usage:
  troupe bot ps [--json]          the bots, and how they are
  troupe bot logs BOT [-f]        the last 200 lines that a bot's process wrote; -f: and those to come
  troupe bot approve BOT [--scopes SCOPE,…]
                                  let the newest version run as it lies there now, by default with
                                  all that it asks for
  troupe bot restart BOT          end it, once it has finished what it has in hand, and start it anew
  troupe bot disable BOT          switch it off, also for restarts of the server
  troupe bot enable BOT           switch it on
  troupe bot dead [BOT]           events that were given up after five tries
  troupe bot replay EVENT         give a bot such an event once more
  troupe bot new NAME [--dir DIR] [--module MODULE]
                                  write a project of a bot that works
  troupe bot dev [DIR]            build it, run it in the server on --data (or in one that is started
                                  for it), show its log, and do so again when a file changes
  troupe bot add BOT --websocket | --webhook ADDRESS [--scopes SCOPE,…]
                                  register a bot that runs elsewhere; its token is shown once
  troupe bot rotate BOT           give it a new token
  troupe bot remove BOT           let it in no more

BOT is a plugin's name, like echo, or its user, like b_echo. A running server is asked
through DATA/admin.sock. docs/bots.md has the rest.`

// bot are the commands about bots, and how many arguments each takes.
var botCommands = map[string][2]int{
	"ps": {0, 0}, "logs": {1, 1}, "approve": {1, 1}, "restart": {1, 1}, "disable": {1, 1}, "enable": {1, 1}, "dead": {0, 1}, "replay": {1, 1},
	"new": {1, 1}, "dev": {0, 1}, "add": {1, 1}, "rotate": {1, 1}, "remove": {1, 1},
}

// bot does what administrators and authors of bots do at the command line.
func (p *program) bot(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(p.out, botUsage)
		if len(args) == 0 {
			return errUsage{errors.New("bot needs a command")}
		}
		return nil
	}
	command, args := args[0], args[1:]
	n, ok := botCommands[command]
	if !ok {
		var known []string
		for c := range botCommands {
			known = append(known, c)
		}
		slices.Sort(known)
		return errUsage{fmt.Errorf("there is no command bot %q%s\n%s", command, didYouMean(command, known), botUsage)}
	}
	var asJSON, follow, socket bool
	var scopes, hook, dir, module string
	l, err := p.settings(args, botUsage, func(f *flag.FlagSet) {
		switch command {
		case "ps":
			f.BoolVar(&asJSON, "json", false, "all of it, as JSON")
		case "logs":
			f.BoolVar(&follow, "f", false, "lines to come too")
		case "approve":
			f.StringVar(&scopes, "scopes", "", "`SCOPES` that are granted, with commas")
		case "add":
			f.StringVar(&scopes, "scopes", "write", "`SCOPES` that are granted, with commas")
			f.BoolVar(&socket, "websocket", false, "it opens a WebSocket")
			f.StringVar(&hook, "webhook", "", "`ADDRESS` that is told of events")
		case "new":
			f.StringVar(&dir, "dir", "", "`DIR` to write it to; by default NAME")
			f.StringVar(&module, "module", "", "Go `MODULE` of it; by default NAME")
		}
	})
	if err != nil {
		return err
	}
	if len(l.args) < n[0] || len(l.args) > n[1] {
		return errUsage{fmt.Errorf("bot %s does not take %d arguments\n%s", command, len(l.args), botUsage)}
	}
	c, arg := &l.Config, append(l.args, "")[0]
	about := aboutBot{Bot: arg}
	switch command {
	case "ps":
		return p.botList(ctx, c, asJSON)
	case "logs":
		return p.botLogs(ctx, c, about, follow)
	case "approve":
		if scopes != "" {
			about.Scopes = split(scopes)
		}
		var a plugins.Approval
		if err := p.botDo(ctx, c, "bot-approve", about, &a); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s %s may run, with the scopes: %s\n", a.ID, a.Version, strings.Join(a.Scopes, ", "))
		return nil
	case "dead":
		return p.botDead(ctx, c, about)
	case "replay":
		var done aboutEvent
		if err := p.botDo(ctx, c, "bot-replay", aboutEvent{Event: arg}, &done); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s has %s once more\n", done.Plugin, done.Event)
		return nil
	case "new":
		return p.botNew(arg, dir, module)
	case "dev":
		return p.botDev(ctx, l, arg)
	case "add":
		in := newRemoteBot{Bot: arg, Way: "webhook", URL: hook, Scopes: split(scopes)}
		if socket == (hook != "") {
			return errUsage{fmt.Errorf("bot add needs --websocket or --webhook ADDRESS\n%s", botUsage)}
		}
		if socket {
			in.Way = "websocket"
		}
		return p.botSecrets(ctx, c, "bot-add", in)
	case "rotate":
		return p.botSecrets(ctx, c, "bot-rotate", about)
	}
	if err := p.botDo(ctx, c, "bot-"+command, about, &struct{}{}); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is %s\n", strings.TrimPrefix(arg, "b_"), map[string]string{"restart": "being restarted", "disable": "switched off", "enable": "switched on", "remove": "let in no more"}[command])
	return nil
}

// botDo is do, and says which bots there are when the one that was meant is none.
func (p *program) botDo(ctx context.Context, c *Config, deed string, in, out any) error {
	err := p.do(ctx, c, deed, in, out)
	about, ok := in.(aboutBot)
	if err == nil || !ok || !strings.Contains(err.Error(), "bot ") || !strings.Contains(err.Error(), "NOT_FOUND") && !strings.Contains(err.Error(), "not found") {
		return err
	}
	var list botList
	if p.do(ctx, c, "bot-ps", struct{}{}, &list) != nil {
		return err
	}
	var names []string
	for _, b := range list.Items {
		names = append(names, b.ID)
	}
	return fmt.Errorf("there is no bot %q%s; there are %s", about.Bot, didYouMean(about.Bot, names), strings.Join(names, ", "))
}

func (p *program) botSecrets(ctx context.Context, c *Config, deed string, in any) error {
	var s botSecrets
	if err := p.botDo(ctx, c, deed, in, &s); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s comes with this token, which is shown only now: %s\n", s.Bot, s.Token)
	if s.Secret != "" {
		fmt.Fprintf(p.out, "what it is sent is signed by this secret, which is shown only now: %s\n", s.Secret)
	}
	return nil
}

func (p *program) botList(ctx context.Context, c *Config, asJSON bool) error {
	var list botList
	if err := p.do(ctx, c, "bot-ps", struct{}{}, &list); err != nil {
		return err
	}
	if asJSON {
		return p.show(nil, list)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BOT\tVERSION\tSTATE\tSINCE\tPID\tMEMORY\tSTARTS\tIN HAND\tLAG\tDEAD\tTOKENS")
	for _, b := range list.Items {
		pid, memory, lag := "", "", ""
		if b.PID != 0 {
			pid, memory = fmt.Sprint(b.PID), fmt.Sprintf("%.0f MB", float64(max(b.PSS, 0))/1e6)
		}
		if b.LagEvents > 0 {
			lag = fmt.Sprintf("%d (%.0f s)", b.LagEvents, b.LagSeconds)
		}
		since := ""
		if !b.Since.IsZero() {
			since = time.Since(b.Since).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\n", b.ID, b.Version, b.State, since, pid, memory, b.Starts, b.InHand, lag, b.DeadLetters, b.TokensToday)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, b := range list.Items {
		if b.Why != "" {
			fmt.Fprintf(p.out, "%s: %s\n", b.ID, b.Why)
		}
		if len(b.Nodes) > 0 {
			fmt.Fprintf(p.out, "%s is connected to %s.\n", b.ID, strings.Join(b.Nodes, ", "))
		}
		for _, v := range b.Approve {
			fmt.Fprintf(p.out, "%s %s waits for approval: %s. It asks for %s", b.ID, v.Version, v.Why, strings.Join(v.Scopes, ", "))
			if len(v.New) > 0 && len(v.New) < len(v.Scopes) {
				fmt.Fprintf(p.out, " (new: %s)", strings.Join(v.New, ", "))
			}
			fmt.Fprintf(p.out, ": troupe bot approve %s\n", b.ID)
		}
	}
	switch {
	case !list.Running:
		fmt.Fprintln(p.out, "No server runs on this data directory.")
	case list.Why != "":
		fmt.Fprintf(p.out, "WARNING: bots are not kept apart as they should be (%s): %s\n", list.Isolation, list.Why)
	default:
		fmt.Fprintf(p.out, "Bots are kept apart by: %s.\n", list.Isolation)
	}
	return nil
}

func (p *program) botLogs(ctx context.Context, c *Config, about aboutBot, follow bool) error {
	for {
		var got botLines
		if err := p.botDo(ctx, c, "bot-logs", about, &got); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for _, line := range got.Lines {
			level := line.Level
			if level != "" {
				level += " "
			}
			fmt.Fprintf(p.out, "%s  %s%s\n", line.At.Local().Format("15:04:05.000"), level, line.Text)
			about.After = line.N
		}
		if !follow {
			return nil
		}
		about.Follow = true
	}
}

func (p *program) botDead(ctx context.Context, c *Config, about aboutBot) error {
	var got botLetters
	if err := p.botDo(ctx, c, "bot-dead", about, &got); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, text := range got.Rows {
		var l desk.DeadLetter
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d tries\t%s\t%s\n", l.Event, time.UnixMilli(l.At).Format(time.RFC3339), l.Kind, l.Attempts, l.Why, l.Error)
	}
	return w.Flush()
}
