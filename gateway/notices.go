package gateway

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Notices tells users what the installation has to say. The table of access says who
// may; nobody else gets here.
type Notices interface {
	// Send keeps a notice of by to users, nil being everybody; it goes out in the
	// background. The same by and id again are the same notice.
	Send(ctx context.Context, by string, id protocol.ClientMsgID, users []protocol.UserID, content *protocol.Content) (*actors.NoticeRow, error)
	// Read gives a notice and how far it is.
	Read(ctx context.Context, id string) (*actors.NoticeRow, error)
}

type notices struct{ Notices }

func (n notices) register(api huma.API) {
	if n.Notices == nil {
		return
	}
	const denied = protocol.Code_DENIED
	send := operation("send-notice", http.MethodPost, "/notices", "Tell users something as the system; the same clientMsgId again is the same notice",
		denied, protocol.Code_NOT_FOUND, protocol.Code_CONFLICT, protocol.Code_TOO_MANY, protocol.Code_UNSUPPORTED, protocol.Code_OUT_OF_RANGE)
	send.Tags, send.DefaultStatus = []string{"administration"}, http.StatusAccepted
	huma.Register(api, send, n.send)
	get := operation("get-notice", http.MethodGet, "/notices/{notice_id}", "Read how far a notice is", denied, protocol.Code_NOT_FOUND)
	get.Tags = send.Tags
	huma.Register(api, get, n.get)
}

type noticeInput struct {
	Body struct {
		Users       []string `json:"users,omitempty" maxItems:"500" doc:"User ids"`
		Everybody   bool     `json:"everybody,omitempty" doc:"Instead of users: all people who have not been shut out"`
		ClientMsgID string   `json:"clientMsgId" minLength:"1" maxLength:"128"`
		Content     content  `json:"content" doc:"The type system, with a text, is meant for this; others are good too"`
	}
}

type noticeView struct {
	Notice    string     `json:"notice"`
	By        string     `json:"by"`
	Everybody bool       `json:"everybody,omitempty"`
	Users     int        `json:"users,omitempty" doc:"How many were named"`
	Told      int64      `json:"told" doc:"How many it went out to"`
	Failed    int64      `json:"failed,omitempty" doc:"How many of them could not be told: the server's log says why"`
	CreatedAt *time.Time `json:"createdAt"`
	DoneAt    *time.Time `json:"doneAt,omitempty" doc:"Absent: it is going out"`
}

func viewNotice(n *actors.NoticeRow) *answer[noticeView] {
	return &answer[noticeView]{noticeView{
		Notice: n.ID, By: n.By, Everybody: n.Users == nil, Users: len(n.Users), Told: n.Told, Failed: n.Failed,
		CreatedAt: when(n.CreatedAt), DoneAt: when(n.DoneAt),
	}}
}

func (n notices) send(ctx context.Context, in *noticeInput) (*answer[noticeView], error) {
	b := &in.Body
	if (len(b.Users) > 0) == b.Everybody {
		return nil, protocol.BadRequest("users or everybody is needed, and not both")
	}
	said, err := b.Content.frame()
	if err != nil {
		return nil, err
	}
	who, _ := protocol.IdentityFrom(ctx)
	users := b.Users
	if b.Everybody {
		users = nil
	}
	row, err := n.Notices.Send(ctx, cmp.Or(who.User, who.Kind+" "+who.Login), b.ClientMsgID, users, said)
	if err != nil {
		return nil, err
	}
	return viewNotice(row), nil
}

func (n notices) get(ctx context.Context, in *struct {
	Notice string `path:"notice_id" maxLength:"64"`
}) (*answer[noticeView], error) {
	row, err := n.Notices.Read(ctx, in.Notice)
	if err != nil {
		return nil, err
	}
	return viewNotice(row), nil
}
