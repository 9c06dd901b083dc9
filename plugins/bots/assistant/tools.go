package assistant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/plugins/bots/assistant/talk"
	"github.com/troupe-im/troupe/plugins/sdk"
)

const (
	maxRounds = 4       // in which a model may use tools; then it has to answer
	maxUses   = 8       // of tools for one answer
	maxTools  = 40      // that it is shown
	maxArgs   = 8 << 10 // bytes of a call's arguments
	maxResult = 4 << 10 // bytes of what a tool said
)

// shed is what tools there are, under the names that the model knows.
type shed struct {
	by   map[string]sdk.Tool
	list []talk.Tool
}

// tools asks the host for the commands of other bots here.
func (b *bot) tools(c *sdk.Ctx) *shed {
	s := &shed{by: map[string]sdk.Tool{}}
	if !b.cfg.Tools {
		return s
	}
	all, err := c.Tools()
	if err != nil {
		c.Log.Warn("there are no tools", "error", err)
		return s
	}
	for _, t := range all[:min(len(all), maxTools)] {
		name := plainTool(t.Name)
		for i := 2; s.by[name].Name != ""; i++ {
			name = fmt.Sprintf("%.60s_%d", plainTool(t.Name), i)
		}
		help := t.Help
		if t.Destructive {
			help += " (a person is asked before it is done)"
		}
		schema := t.Schema
		if !json.Valid(schema) {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		s.by[name] = t
		s.list = append(s.list, talk.Tool{Name: name, Help: help, Schema: schema})
	}
	return s
}

// plainTool is a name that models take: 64 letters, digits, _ and -.
func plainTool(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), 64)]
}

// rounds has the model answer, and use tools until it does.
func (b *bot) rounds(c *sdk.Ctx, client *talk.Client, model string, messages []talk.Message, another bool, v *talk.Voice) (*talk.Answer, error) {
	shed := b.tools(c)
	total, uses := &talk.Answer{}, 0
	for round := 0; ; round++ {
		q := talk.Request{Model: model, Messages: messages, MaxTokens: b.cfg.MaxTokens}
		if b.cfg.Temperature >= 0 {
			q.Warmth = &b.cfg.Temperature
		}
		if another { // somebody did not like the first
			warm := max(b.cfg.Temperature, 1)
			q.Warmth = &warm
		}
		if round < maxRounds && uses < maxUses {
			q.Tools = shed.list
		}
		if round > 0 && v.Begun() {
			if err := v.Say("\n\n"); err != nil {
				return total, err
			}
		}
		a, err := client.Ask(c, q, v.Say)
		total.Text, total.Finish, total.Model = a.Text, a.Finish, a.Model
		total.Prompt += a.Prompt
		total.Completion += a.Completion
		if err != nil || len(a.Calls) == 0 || len(q.Tools) == 0 {
			return total, err
		}
		asked := slices.Clone(a.Calls)
		for i := range asked {
			if asked[i].ID == "" {
				asked[i].ID = fmt.Sprintf("call_%d_%d", round, i)
			}
			if strings.TrimSpace(asked[i].Args) == "" {
				asked[i].Args = "{}" // of a tool that has none
			}
		}
		shown := slices.Clone(asked)
		for i := range shown {
			if !json.Valid([]byte(shown[i].Args)) {
				shown[i].Args = "{}" // some providers refuse their own nonsense; what was wrong is said below
			}
		}
		messages = append(messages, talk.Message{Role: talk.Assistant, Text: a.Text, Calls: shown})
		for _, call := range asked {
			said := "too many tools were used for this answer"
			if uses++; uses <= maxUses {
				if said, err = b.use(c, shed, call); err != nil {
					return total, err
				}
			}
			messages = append(messages, talk.Message{Role: talk.ToolSays, Call: call.ID, Text: object("tool", call.Name, "said", said)})
		}
	}
}

// use does one call and gives what the model is told. What was wrong is for the model to mend; an
// error is of the context alone.
func (b *bot) use(c *sdk.Ctx, s *shed, call talk.Call) (string, error) {
	tool, ok := s.by[call.Name]
	if !ok {
		return "there is no such tool", nil
	}
	if why := wrongArgs(tool.Schema, call.Args); why != "" {
		return "the arguments are wrong: " + why, nil
	}
	text, pending, err := c.CallTool(tool.Name, json.RawMessage(call.Args))
	switch {
	case c.Err() != nil:
		return "", context.Cause(c)
	case err != nil:
		var e *sdk.Error
		if errors.As(err, &e) {
			return "it was not done: " + e.Error(), nil
		}
		return "it was not done", nil
	case pending:
		return "a person is asked first, and has not answered yet; it is not done", nil
	case text == "":
		return "(done; it said nothing)", nil
	}
	if len(text) > maxResult {
		text = strings.ToValidUTF8(text[:maxResult], "") + "…"
	}
	return text, nil
}

// wrongArgs says what is wrong with a call's arguments, "" is nothing. It knows of a JSON Schema
// what commands need: an object's properties, their types and choices. The host checks again.
func wrongArgs(schema json.RawMessage, args string) string {
	if len(args) > maxArgs {
		return "too long"
	}
	var given map[string]any
	if json.Unmarshal([]byte(args), &given) != nil || given == nil {
		return "they are no JSON object"
	}
	var want struct {
		Properties map[string]struct {
			Type string `json:"type"`
			Enum []any  `json:"enum"`
		} `json:"properties"`
		Required []string `json:"required"`
		More     any      `json:"additionalProperties"`
	}
	if json.Unmarshal(schema, &want) != nil {
		return ""
	}
	for _, name := range want.Required {
		if _, ok := given[name]; !ok {
			return fmt.Sprintf("%.40q is missing", name)
		}
	}
	for name, v := range given {
		p, ok := want.Properties[name]
		if !ok {
			if want.More == false {
				return fmt.Sprintf("there is no %.40q", name)
			}
			continue
		}
		if !isA(v, p.Type) {
			return fmt.Sprintf("%.40q is no %s", name, p.Type)
		}
		if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(o any) bool { return fmt.Sprint(o) == fmt.Sprint(v) }) {
			return fmt.Sprintf("%.40q is none of its choices", name)
		}
	}
	return ""
}

func isA(v any, kind string) bool {
	switch kind {
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "number":
		_, ok := v.(float64)
		return ok
	case "integer":
		n, ok := v.(float64)
		return ok && n == float64(int64(n))
	}
	return true
}
