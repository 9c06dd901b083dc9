package sdk

import (
	"encoding/json"
)

// Card is a message with rows, buttons and a form. Its fields can be set, or added one
// after the other:
//
//	sdk.NewCard("Lunch?").Row("noodles", "3").Button("vote:1", "Noodles").Primary("close", "Close")
//
// Pressing a button comes back as an event of kind action.
type Card struct {
	Title   string
	Text    string
	URL     string // opened by a click on the title
	Image   string // a file's id
	Rows    []Row
	Buttons []Button
	Form    *Form
	Done    *Done          // locks it
	Data    map[string]any // whatever else the bot wants to find again in it
}

// Row is a line with a label and a value.
type Row struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Button is pressed by people.
type Button struct {
	Action string `json:"action,omitempty"`
	Label  string `json:"label"`
	Style  string `json:"style,omitempty"` // primary, danger, plain
	URL    string `json:"url,omitempty"`   // opened, instead of an action
}

// Form is filled by people.
type Form struct {
	Action string  `json:"action"`
	Submit string  `json:"submit,omitempty"` // the button's label
	Fields []Field `json:"fields"`
}

// Field is one field of a form.
type Field struct {
	Name        string   `json:"name"`
	Label       string   `json:"label"`
	Type        string   `json:"type"` // text, textarea, number, select, checkbox, date
	Required    bool     `json:"required,omitempty"`
	Value       any      `json:"value,omitempty"`
	Placeholder string   `json:"placeholder,omitempty"`
	Options     []Option `json:"options,omitempty"`
}

// Option is one choice of a select.
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Done says what was chosen on a card. It can't be pressed any more.
type Done struct {
	Action string `json:"action"`
	By     string `json:"by,omitempty"` // a user id
	At     int64  `json:"at,omitempty"` // Unix milliseconds
}

// NewCard is a card with a title.
func NewCard(title string) *Card { return &Card{Title: title} }

// Say sets the text.
func (k *Card) Say(text string) *Card { k.Text = text; return k }

// Row adds a row.
func (k *Card) Row(label, value string) *Card {
	k.Rows = append(k.Rows, Row{label, value})
	return k
}

// Button adds a plain button.
func (k *Card) Button(action, label string) *Card {
	k.Buttons = append(k.Buttons, Button{Action: action, Label: label})
	return k
}

// Primary adds the button that most people will press.
func (k *Card) Primary(action, label string) *Card {
	k.Buttons = append(k.Buttons, Button{Action: action, Label: label, Style: "primary"})
	return k
}

// Danger adds a button that can't be undone.
func (k *Card) Danger(action, label string) *Card {
	k.Buttons = append(k.Buttons, Button{Action: action, Label: label, Style: "danger"})
	return k
}

// Link adds a button that opens a page.
func (k *Card) Link(url, label string) *Card {
	k.Buttons = append(k.Buttons, Button{URL: url, Label: label})
	return k
}

// Ask gives it a form.
func (k *Card) Ask(action, submit string, fields ...Field) *Card {
	k.Form = &Form{Action: action, Submit: submit, Fields: fields}
	return k
}

// content is the card as clients get it.
func (k *Card) content() (string, error) {
	data := map[string]any{}
	for key, v := range k.Data {
		data[key] = v
	}
	if len(k.Rows) > 0 {
		data["rows"] = k.Rows
	}
	if len(k.Buttons) > 0 {
		data["buttons"] = k.Buttons
	}
	if k.Form != nil {
		data["form"] = k.Form
	}
	if k.Done != nil {
		data["done"] = k.Done
	}
	content := map[string]any{"type": "card"}
	for key, v := range map[string]string{"title": k.Title, "text": k.Text, "url": k.URL, "thumb": k.Image} {
		if v != "" {
			content[key] = clean(v)
		}
	}
	if len(data) > 0 {
		content["data"] = data
	}
	text, err := json.Marshal(content)
	return string(text), err
}

// ParseCard reads a card from a message's content; nil when it is none.
func ParseCard(content []byte) *Card {
	var in struct {
		Type, Title, Text, URL, Thumb string
		Data                          json.RawMessage
	}
	if json.Unmarshal(content, &in) != nil || in.Type != "card" {
		return nil
	}
	k := &Card{Title: in.Title, Text: in.Text, URL: in.URL, Image: in.Thumb}
	if len(in.Data) == 0 {
		return k
	}
	var known struct {
		Rows    []Row
		Buttons []Button
		Form    *Form
		Done    *Done
	}
	if json.Unmarshal(in.Data, &known) == nil {
		k.Rows, k.Buttons, k.Form, k.Done = known.Rows, known.Buttons, known.Form, known.Done
	}
	if json.Unmarshal(in.Data, &k.Data) == nil {
		for _, key := range []string{"rows", "buttons", "form", "done"} {
			delete(k.Data, key)
		}
	}
	return k
}

// Card says a card.
func (c *Ctx) Card(k *Card) (*Posted, error) { return c.Post(Post{Card: k}) }

// CardMessage is the id of the card whose button or form was used.
func (c *Ctx) CardMessage() string {
	if c.ReplyTo == nil {
		return ""
	}
	return c.ReplyTo.Message
}

// Update shows k where the card is whose button was pressed.
func (c *Ctx) Update(k *Card) error {
	if c.CardMessage() == "" {
		return &Error{Code: "BAD_REQUEST", Detail: "Update is for actions: the event answers no card"}
	}
	return c.Edit(c.CardMessage(), Post{Card: k})
}

// Lock is Update with a card that can't be pressed any more: it says who chose what.
func (c *Ctx) Lock(k *Card) error {
	locked := *k
	locked.Done = &Done{Action: c.Action, By: c.Sender.User, At: c.Now().UnixMilli()}
	return c.Update(&locked)
}
