package userctr

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// registerPush adds how devices are woken.
func (c *Center) registerPush(api huma.API) {
	op := func(id, method, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/users/me/devices/{device}/push", Summary: summary, Tags: []string{"users"},
			DefaultStatus: http.StatusNoContent, Errors: append(errors, http.StatusUnauthorized), MaxBodyBytes: 16 << 10,
			Security: []map[string][]string{{"bearer": {}}},
		}
	}
	huma.Register(api, op("set-push", http.MethodPut, "Say how one's device is woken while it is not connected", http.StatusNotFound), c.putPush)
	huma.Register(api, op("remove-push", http.MethodDelete, "Wake one's device no more"), c.deletePush)
}

func (c *Center) putPush(ctx context.Context, in *struct {
	Device string `path:"device" maxLength:"128"`
	Body   struct {
		Kind  string `json:"kind" enum:"apns,fcm,webpush,getui,hms,mipush" doc:"The push service"`
		Token string `json:"token" minLength:"1" maxLength:"4096" doc:"The service's token; for webpush the subscription as JSON"`
		App   string `json:"app,omitempty" maxLength:"128" doc:"Which of the operator's clients it is"`
	}
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.SetPush(ctx, Push{User: id.User, Device: in.Device, Kind: in.Body.Kind, Token: in.Body.Token, App: in.Body.App})
}

func (c *Center) deletePush(ctx context.Context, in *struct {
	Device string `path:"device" maxLength:"128"`
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.RemovePush(ctx, id.User, in.Device)
}
