package userctr

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// registerKeys adds the operations on server keys, and those that keys are for.
func (c *Center) registerKeys(api huma.API) {
	op := func(id, method, path, summary string, status int, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"keys"}, DefaultStatus: status,
			Errors: append(errors, http.StatusUnauthorized, http.StatusForbidden), MaxBodyBytes: 16 << 10,
			Security: []map[string][]string{{"bearer": {}}},
		}
	}
	huma.Register(api, op("make-key", http.MethodPost, "/keys", "Make a server key, which is shown once (administrators)", http.StatusCreated), c.postKey)
	huma.Register(api, op("list-keys", http.MethodGet, "/keys", "List the server keys (administrators)", http.StatusOK), c.getKeys)
	huma.Register(api, op("revoke-key", http.MethodDelete, "/keys/{key}", "Revoke a server key (administrators)", http.StatusNoContent, http.StatusNotFound), c.deleteKey)
	huma.Register(api, op("mint-user", http.MethodPost, "/keys/users", "Make a user, or change one (server keys, scope users)", http.StatusCreated, http.StatusConflict), c.postMint)
	huma.Register(api, op("mint-token", http.MethodPost, "/keys/users/{id}/token", "Sign a user in (server keys, scope users)", http.StatusOK, http.StatusNotFound, http.StatusConflict), c.postMintToken)
}

// KeyBody is a server key as administrators see it.
type KeyBody struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	UserID     string     `json:"userId" doc:"The key's own user, of kind system"`
	Scopes     []string   `json:"scopes"`
	CreatedBy  string     `json:"createdBy"`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  *time.Time `json:"expiresAt,omitempty" doc:"None: it does not end by itself"`
	RevokedAt  *time.Time `json:"revokedAt,omitempty"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty" doc:"To a minute"`
}

func keyOf(k *Key) KeyBody {
	return KeyBody{
		ID: k.ID, Name: k.Name, UserID: k.User, Scopes: k.Scopes, CreatedBy: k.By, CreatedAt: k.Created.UTC(),
		ExpiresAt: known(k.Expires), RevokedAt: known(k.Revoked), LastUsedAt: known(k.LastUsed),
	}
}

type madeKeyAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		KeyBody
		Key string `json:"key" doc:"Shown this once"`
	}
}

func (c *Center) postKey(ctx context.Context, in *struct {
	Body struct {
		Name      string   `json:"name" minLength:"1" maxLength:"64"`
		Scopes    []string `json:"scopes" minItems:"1" maxItems:"16" doc:"users, sessions, messages, read, notice, moderate"`
		ExpiresIn int64    `json:"expiresIn,omitempty" minimum:"0" maximum:"63244800" doc:"Seconds; 0: it does not end by itself"`
	}
}) (*madeKeyAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	text, k, err := c.MakeKey(ctx, id, in.Body.Name, in.Body.Scopes, time.Duration(in.Body.ExpiresIn)*time.Second)
	if err != nil {
		return nil, err
	}
	out := &madeKeyAnswer{CacheControl: "no-store"}
	out.Body.KeyBody, out.Body.Key = keyOf(k), text
	return out, nil
}

type keysAnswer struct {
	Body struct {
		Items []KeyBody `json:"items"`
		Next  string    `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (c *Center) getKeys(ctx context.Context, in *Paged) (*keysAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := c.Keys(ctx, id, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &keysAnswer{}
	out.Body.Items = []KeyBody{}
	for _, k := range keys[:min(len(keys), in.Limit)] {
		out.Body.Items = append(out.Body.Items, keyOf(k))
	}
	if len(keys) > in.Limit {
		out.Body.Next = keys[in.Limit-1].ID
	}
	return out, nil
}

func (c *Center) deleteKey(ctx context.Context, in *struct {
	Key string `path:"key" maxLength:"64"`
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.RevokeKey(ctx, id, in.Key)
}

type mintAnswer struct {
	Status int
	Body   Profile
}

func (c *Center) postMint(ctx context.Context, in *struct {
	Body struct {
		ID       string  `json:"id,omitempty" maxLength:"128" doc:"Your own id of the user; absent: one is made"`
		Nickname *string `json:"nickname,omitempty" maxLength:"64"`
		Avatar   *string `json:"avatar,omitempty" maxLength:"1024" doc:"An http or https link"`
	}
}) (*mintAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, fresh, err := c.MintUser(ctx, id, Mint{ID: in.Body.ID, Nickname: in.Body.Nickname, Avatar: in.Body.Avatar})
	if err != nil {
		return nil, err
	}
	out := &mintAnswer{Status: http.StatusOK, Body: profileOf(u)}
	if fresh {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (c *Center) postMintToken(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"128"`
	Body *ClientBody
}) (*grantAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	var client Client
	if in.Body != nil {
		client = in.Body.client("")
	}
	return c.answer(c.MintToken(ctx, id, in.ID, client))
}
