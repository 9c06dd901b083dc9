package filectr

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

func (c *Center) registerDeals(api huma.API, operation func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation) {
	const path = "/files/{id}/deal"
	get := operation("get-file-deal", http.MethodGet, path, "Read what was decided of a file, with a link to it as it was uploaded (administrators, keys)", http.StatusOK,
		protocol.Code_NOT_FOUND, protocol.Code_DENIED)
	huma.Register(api, get, c.getDeal)
	post := operation("deal-file", http.MethodPost, path, "Decide whether others see a file (administrators, keys)", http.StatusOK,
		protocol.Code_NOT_FOUND, protocol.Code_DENIED, protocol.Code_CONFLICT, protocol.Code_UNSUPPORTED, protocol.Code_TOO_LARGE)
	post.MaxBodyBytes = c.cfg.MaxImage*4/3 + 64<<10
	post.BodyReadTimeout = time.Minute
	huma.Register(api, post, c.postDeal)
}

// dealAnswer is a file as those see it who decide on it.
type dealAnswer struct {
	Body struct {
		File      view      `json:"file" doc:"As it was uploaded"`
		Owner     string    `json:"owner"`
		State     State     `json:"state,omitempty" enum:"pending,held,allowed,rejected,replaced" doc:"Absent: nobody has looked at it"`
		Reason    string    `json:"reason,omitempty"`
		By        string    `json:"by,omitempty" doc:"A user, reviewer, or server"`
		At        time.Time `json:"at,omitzero"`
		URL       string    `json:"url" doc:"Opens the file as it was uploaded, without a token"`
		ExpiresAt time.Time `json:"expiresAt" doc:"Of that link"`
	}
}

func (c *Center) dealOf(f *File) *dealAnswer {
	a := &dealAnswer{}
	b := &a.Body
	b.File, b.Owner = viewOf(f), f.Owner
	b.URL, b.ExpiresAt = c.reviewLink(f)
	if f.Deal != nil {
		b.State, b.Reason, b.By, b.At = f.Deal.State, f.Deal.Reason, f.Deal.By, f.Deal.At.UTC()
	}
	return a
}

func (c *Center) getDeal(ctx context.Context, in *ByID) (*dealAnswer, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.Dealt(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	return c.dealOf(f), nil
}

// Deals are the words of decisions.
var deals = map[string]State{"allow": Allowed, "reject": Rejected, "hold": Held, "replace": Replaced}

// ParseDeal reads the word of a decision.
func ParseDeal(word string) (State, bool) {
	s, ok := deals[word]
	return s, ok
}

func (c *Center) postDeal(ctx context.Context, in *struct {
	ByID
	Body struct {
		Deal   string `json:"deal" enum:"allow,reject,hold,replace"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For people; who may know of the file is told"`
		File   []byte `json:"file,omitempty" contentEncoding:"base64" doc:"With replace: the picture that others see in its place"`
	}
}) (*dealAnswer, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.Decide(ctx, who, in.ID, Decision{State: deals[in.Body.Deal], Reason: in.Body.Reason, Picture: in.Body.File})
	if err != nil {
		return nil, err
	}
	return c.dealOf(f), nil
}
