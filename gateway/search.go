package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// Searcher finds messages by their words.
type Searcher interface {
	// Find gives a page of the messages that user may read, newest first.
	Find(ctx context.Context, user protocol.UserID, q search.Query) (*search.Page, error)
}

// registerSearch adds the search for messages.
func (s *sessions) registerSearch(api huma.API) {
	if s.searcher == nil {
		return
	}
	op := operation("search-messages", http.MethodGet, "/messages/search", "Find messages in one's sessions by their words, newest first",
		protocol.Code_NOT_FOUND, protocol.Code_DENIED)
	op.Description = "A message has to have all the words, anywhere in a word; words in quotation marks have to stand side by side. Case, width and accents do not matter. What was recalled or has expired is not found."
	op.Tags = []string{"messages"}
	huma.Register(api, op, s.search)
}

type searchInput struct {
	Words   string    `query:"q" required:"true" maxLength:"256" doc:"Words, and phrases in quotation marks: 256 characters and 16 words at most"`
	Session string    `query:"session" maxLength:"64" doc:"Only in this session"`
	Sender  string    `query:"sender" maxLength:"128" doc:"Only by this user"`
	Types   []string  `query:"type" maxItems:"20" doc:"Only contents of these types, like image,video"`
	After   time.Time `query:"after" doc:"Not before this time"`
	Before  time.Time `query:"before" doc:"Before this time"`
	Context int       `query:"context" minimum:"0" maximum:"5" doc:"So many entries before and after each"`
	Limit   int       `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor  string    `query:"cursor" maxLength:"256" doc:"What next said, with the same words and filters"`
}

type searchView struct {
	List[hitView]
	Partial bool `json:"partial,omitempty" doc:"So much had to be read that this request ends here; next goes on"`
}

type hitView struct {
	Message messageView    `json:"message"`
	Session hitSessionView `json:"session"`
	Field   string         `json:"field" enum:"text,title,name,digest,forwarded" doc:"What of the content the snippet is from; name is a file's"`
	Snippet string         `json:"snippet" doc:"A piece of it, some 120 characters, with … where it is cut"`
	Marks   [][2]int       `json:"marks" doc:"Where in the snippet words stand: from and to behind, in UTF-16 units as JavaScript counts"`
	Before  []messageView  `json:"before,omitempty" doc:"Entries before the message, in order"`
	After   []messageView  `json:"after,omitempty" doc:"Entries after the message, in order"`
}

type hitSessionView struct {
	ID      string      `json:"session"`
	Type    sessionType `json:"sessionType"`
	Name    string      `json:"name,omitempty"`
	Avatar  string      `json:"avatar,omitempty" doc:"A path of this server, or a link, for <img>"`
	Members []string    `json:"members,omitempty" doc:"Of a p2p session: the two people"`
}

func (s *sessions) search(ctx context.Context, in *searchInput) (*answer[searchView], error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok {
		return nil, protocol.Unauthorized("sign in first")
	}
	q := search.Query{Words: in.Words, Session: in.Session, Sender: in.Sender, After: in.After, Before: in.Before, Limit: in.Limit, Cursor: in.Cursor}
	if in.Session != "" {
		if _, err := protocol.ParseSessionID(in.Session); err != nil {
			return nil, protocol.NotFound("session %.64q", in.Session)
		}
	}
	for _, word := range in.Types {
		b, err := json.Marshal(word)
		var t protocol.ContentType
		if err == nil {
			err = json.Unmarshal(b, &t)
		}
		if err != nil {
			return nil, protocol.BadRequest("type: %.40q is no type of content", word)
		}
		q.Types = append(q.Types, t)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	page, err := s.searcher.Find(ctx, who.User, q)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = protocol.Errorf(protocol.Code_BUSY, "the search takes too long now")
		}
		return nil, err
	}
	out := searchView{List: List[hitView]{Items: []hitView{}, Next: page.Next}, Partial: page.Partial}
	for _, h := range page.Hits {
		v := viewHit(h)
		if in.Context > 0 {
			if err := s.around(ctx, &v, int64(in.Context)); protocol.Code_NOT_FOUND.Is(err) {
				continue // removed from the session in this moment
			} else if err != nil {
				return nil, err
			}
		}
		out.Items = append(out.Items, v)
	}
	return &answer[searchView]{out}, nil
}

func viewHit(h search.Hit) hitView {
	v := hitView{Message: viewMessage(h.Entry), Field: h.Field, Snippet: h.Snippet, Marks: h.Marks,
		Session: hitSessionView{ID: h.Info.Session, Type: sessionType{h.Info.SessionType}, Name: h.Info.Name, Avatar: h.Info.Avatar}}
	v.Session.ID = cmp.Or(v.Session.ID, h.Entry.Session)
	if v.Marks == nil {
		v.Marks = [][2]int{}
	}
	for _, m := range h.Info.Members {
		v.Session.Members = append(v.Session.Members, m.User)
	}
	return v
}

// around reads what stands before and after a hit, as the session shows it to the asker.
func (s *sessions) around(ctx context.Context, v *hitView, n int64) error {
	seq := v.Message.Seq
	before, err := s.sync(ctx, &protocol.Sync{Session: v.Message.Session, BeforeSeq: &seq, Limit: n})
	if err != nil {
		return err
	}
	after, err := s.sync(ctx, &protocol.Sync{Session: v.Message.Session, AfterSeq: &seq, Limit: n})
	if err != nil && !protocol.Code_OUT_OF_RANGE.Is(err) {
		return err
	}
	for _, e := range before.Messages {
		v.Before = append(v.Before, viewMessage(e))
	}
	for _, e := range after.GetMessages() {
		v.After = append(v.After, viewMessage(e))
	}
	return nil
}
