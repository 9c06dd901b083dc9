package desk

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Register adds the desk's operations to api, whose paths begin with /api/v2.
func (d *Desks) Register(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-commands", Method: http.MethodGet, Path: "/sessions/{session}/commands", Tags: []string{"sessions"},
		Summary:       "List what the bots of a session can be told to do",
		Description:   "A command is sent as a message that begins with /name, or with /name@handle where several bots have it; and may have its arguments by name in the message's content.data: {\"troupe\":{\"command\":\"name@handle\",\"args\":{…}}}.",
		DefaultStatus: http.StatusOK, Security: []map[string][]string{{"bearer": {}}}, Errors: []int{http.StatusUnauthorized, http.StatusNotFound},
		Metadata: map[string]any{"codes": []protocol.Code{protocol.Code_NOT_FOUND, protocol.Code_BUSY}},
	}, d.getCommands)
}

type commandsAnswer struct {
	Body struct {
		Items []commandView `json:"items"`
	}
}

type commandView struct {
	Bot         protocol.UserID `json:"bot" doc:"The user id of the bot that serves it"`
	Handle      string          `json:"handle" doc:"What stands behind the @ of /name@handle"`
	BotName     string          `json:"botName"`
	Online      bool            `json:"online" doc:"The bot answers now"`
	Name        string          `json:"name"`
	Help        string          `json:"help,omitempty" doc:"One line"`
	Usage       string          `json:"usage" doc:"How it is typed"`
	Destructive bool            `json:"destructive,omitempty"`
	ReadOnly    bool            `json:"readOnly,omitempty"`
	Args        []argumentView  `json:"args"`
}

type argumentView struct {
	Name     string   `json:"name"`
	Help     string   `json:"help,omitempty"`
	Type     string   `json:"type" enum:"text,word,integer,number,boolean,duration,user,choice"`
	Required bool     `json:"required,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Default  string   `json:"default,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
}

func viewOf(c *botv1.Command, bot *botv1.Self, online bool, locale string) commandView {
	v := commandView{
		Bot: bot.User, Handle: bot.Handle, BotName: bot.Name, Online: online, Name: c.Name, Help: helpIn(c.Help, c.HelpIn, locale),
		Usage: usage(c, locale), Destructive: c.Destructive, ReadOnly: c.ReadOnly, Args: []argumentView{},
	}
	for _, arg := range c.Args {
		av := argumentView{Name: arg.Name, Help: helpIn(arg.Help, arg.HelpIn, locale), Type: arg.Type, Required: arg.Required, Choices: arg.Choices, Default: arg.Std}
		if arg.Min != 0 || arg.Max != 0 {
			av.Min, av.Max = &arg.Min, &arg.Max
		}
		v.Args = append(v.Args, av)
	}
	return v
}

func (d *Desks) getCommands(ctx context.Context, in *struct {
	Session string `path:"session" maxLength:"64"`
	Locale  string `query:"locale" maxLength:"32" doc:"Of the help: zh-CN or en. Default: the Accept-Language header, then the installation's"`
	Accept  string `header:"Accept-Language" maxLength:"256"`
}) (*commandsAnswer, error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	if _, err := d.session(ctx, who, in.Session); err != nil {
		return nil, err
	}
	locale := in.Locale
	if locale == "" {
		locale, _, _ = strings.Cut(in.Accept, ",")
		locale, _, _ = strings.Cut(strings.TrimSpace(locale), ";")
	}
	if locale == "" || locale == "*" {
		locale = d.locale()
	}
	a := &commandsAnswer{}
	a.Body.Items = []commandView{}
	for _, s := range d.speakers() {
		for _, self := range selvesOf(s.says) {
			commands := commandsOf(s.says, self.Handle)
			if len(commands) == 0 {
				continue
			}
			if _, err := d.roleOf(ctx, who, in.Session, self.User); protocol.Code_NOT_FOUND.Is(err) {
				continue
			} else if err != nil {
				return nil, err
			}
			for _, c := range commands {
				a.Body.Items = append(a.Body.Items, viewOf(c, self, s.online, locale))
			}
		}
	}
	slices.SortFunc(a.Body.Items, func(a, b commandView) int {
		if a.Name != b.Name {
			return strings.Compare(a.Name, b.Name)
		}
		return strings.Compare(a.Bot, b.Bot)
	})
	return a, nil
}
