package sdk

import (
	"encoding/json"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Event is what happened. The zero one, of OnStart, has no ID.
type Event struct {
	ID          string // the same however often it comes
	Kind        string // message, command, action, added, removed, edited, recalled, schedule, webhook, tool
	Session     string
	SessionType string // p2p, group, muc
	Seq         int64  // of the entry that it comes from, 0 when from none
	Message     string // that entry's id, to answer, edit or react to
	Attempt     int    // 1 for the first
	Hops        int    // how many bots stand between a person and this
	To          string // the user id of the persona that is meant
	Sender      Person
	Text        string          // without the mention of the bot
	Content     json.RawMessage // as clients get it
	Files       []File
	ReplyTo     *Quote // nil: it answers nothing
	Mentioned   bool
	Command     string
	Args        json.RawMessage // an object; checked
	Action      string          // the button or form; with schedule, the schedule's id
	Values      json.RawMessage // what was put into the form, an object
	Body        string          // with webhook what came, with schedule what was kept
	At          time.Time
	Trace       string // W3C traceparent
	Locale      string // zh-CN, en, …
	Late        bool   // older than the bot's MaxEventAge
}

// Person is a member of a session.
type Person struct {
	User string `json:"user"` // the id
	Name string `json:"name,omitempty"`
	Kind string `json:"kind,omitempty"` // human, guest, bot, device, system
	Role string `json:"role,omitempty"` // member, admin, owner
}

// IsAdmin says whether the person may decide things in the session.
func (p Person) IsAdmin() bool { return p.Role == "admin" || p.Role == "owner" }

// File is a file that a message has.
type File struct {
	ID   string
	Name string
	MIME string
	Size int64 // bytes
}

// Quote is the message that another answers.
type Quote struct {
	Message string
	Sender  string // a user id
	Text    string
	Mine    bool // the bot said it
}

func event(e *botv1.Event) Event {
	return Event{
		ID: e.Id, Kind: e.Kind, Session: e.Session, SessionType: e.SessionType, Seq: e.Seq, Message: e.Message,
		Attempt: int(e.Attempt), Hops: int(e.Hops), To: e.To, Sender: person(e.Sender), Text: e.Text,
		Content: json.RawMessage(e.Content), Files: files(e.Files), ReplyTo: quote(e.ReplyTo), Mentioned: e.Mentioned,
		Command: e.Command, Args: json.RawMessage(e.Args), Action: e.Action, Values: json.RawMessage(e.Values),
		Body: e.Body, At: moment(e.CreatedAt), Trace: e.Traceparent, Locale: e.Locale, Late: e.Late,
	}
}

func person(p *botv1.Person) Person {
	if p == nil {
		return Person{}
	}
	return Person{User: p.User, Name: p.Name, Kind: p.Kind, Role: p.Role}
}

func files(list []*botv1.File) []File {
	var out []File
	for _, f := range list {
		out = append(out, File{ID: f.File, Name: f.Name, MIME: f.Mime, Size: f.Size})
	}
	return out
}

func quote(q *botv1.Quote) *Quote {
	if q == nil {
		return nil
	}
	return &Quote{Message: q.Message, Sender: q.Sender, Text: q.Text, Mine: q.Mine}
}

// moment is a time of the wire; 0 is none.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
