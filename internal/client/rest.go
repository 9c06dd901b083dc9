package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// REST is the part of the HTTP API that a client needs to have a token and to find people.
type REST struct {
	base string
	http *http.Client
}

// restTimeout bounds one call; a password takes a fraction of a second to check.
const restTimeout = 20 * time.Second

// NewREST speaks to the server at address, which may be the WebSocket's.
func NewREST(address string) (*REST, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("server address %q: it begins with ws, wss, http or https", address)
	}
	return &REST{base: u.Scheme + "://" + u.Host + "/api/v2", http: &http.Client{Timeout: restTimeout}}, nil
}

// Login is what signing in gives.
type Login struct {
	UserID       protocol.UserID `json:"userId"`
	Token        string          `json:"token"`
	ExpiresAt    time.Time       `json:"expiresAt"`
	RefreshToken string          `json:"refreshToken"`
	Device       string          `json:"device"`
}

// Credentials are a name and its password, and what the device says of itself.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Code     string `json:"code,omitempty"` // an invitation, to register
	Device   string `json:"device,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// Register makes a user and signs it in; CONFLICT: the name is taken.
func (r *REST) Register(ctx context.Context, c Credentials) (*Login, error) {
	var l Login
	return &l, r.call(ctx, http.MethodPost, "/users", "", c, &l)
}

// Login signs in; UNAUTHORIZED: the name or the password is wrong.
func (r *REST) Login(ctx context.Context, c Credentials) (*Login, error) {
	var l Login
	return &l, r.call(ctx, http.MethodPost, "/users/login", "", c, &l)
}

// Refresh trades a refresh token, which is good for one use, for new tokens.
func (r *REST) Refresh(ctx context.Context, refreshToken string) (*Login, error) {
	var l Login
	return &l, r.call(ctx, http.MethodPost, "/users/refresh", "", map[string]string{"refreshToken": refreshToken}, &l)
}

// Person is a user as others see it.
type Person struct {
	ID       protocol.UserID `json:"userId"`
	Name     string          `json:"name"`
	Nickname string          `json:"nickname"`
}

// Find gives the user with exactly this name; NOT_FOUND: nobody has it.
func (r *REST) Find(ctx context.Context, token, name string) (*Person, error) {
	var found struct {
		Items []Person `json:"items"`
	}
	if err := r.call(ctx, http.MethodGet, "/users?name="+url.QueryEscape(name), token, nil, &found); err != nil {
		return nil, err
	}
	if len(found.Items) == 0 {
		return nil, protocol.NotFound("user %s", name)
	}
	return &found.Items[0], nil
}

// Person reads the profile of a user.
func (r *REST) Person(ctx context.Context, token string, id protocol.UserID) (*Person, error) {
	var p Person
	return &p, r.call(ctx, http.MethodGet, "/users/"+url.PathEscape(id), token, nil, &p)
}

// call makes one call. A problem that the server describes comes back as a *protocol.Error.
func (r *REST) call(ctx context.Context, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	const maxBody = 1 << 20
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return err
	}
	if res.StatusCode < 300 {
		return json.Unmarshal(b, out)
	}
	var p struct {
		Detail  string `json:"detail"`
		Errcode int32  `json:"errcode"`
	}
	if json.Unmarshal(b, &p) != nil || p.Errcode == 0 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	return &protocol.Error{Code: protocol.Code(p.Errcode), Detail: p.Detail}
}
