package userctr

import (
	"context"
	"time"
)

type deviceBody struct {
	Device     string    `json:"device"`
	Name       string    `json:"name,omitempty"`
	Platform   string    `json:"platform,omitempty"`
	Version    string    `json:"version,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	LastSeenAt time.Time `json:"lastSeenAt" doc:"Of its last sign-in or token renewal"`
	Current    bool      `json:"current" doc:"It is the one that asks"`
}

type devicesAnswer struct {
	Body struct {
		Items []deviceBody `json:"items"`
		Next  string       `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

// maxDevices is how many of a user's devices are listed, the last seen first.
const maxDevices = 200

func (c *Center) getDevices(ctx context.Context, _ *struct{}) (*devicesAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Devices(ctx, id.User)
	if err != nil {
		return nil, err
	}
	out := &devicesAnswer{}
	out.Body.Items = []deviceBody{}
	for _, d := range rows[:min(len(rows), maxDevices)] {
		out.Body.Items = append(out.Body.Items, deviceBody{
			Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version,
			CreatedAt: d.Created, LastSeenAt: d.LastSeen, Current: d.Device == id.Device,
		})
	}
	return out, nil
}

func (c *Center) deleteDevice(ctx context.Context, in *struct {
	Device string `path:"device" maxLength:"128"`
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	return nil, c.RemoveDevice(ctx, id.User, in.Device)
}

func (c *Center) deleteDevices(ctx context.Context, in *struct {
	Others bool `query:"others" doc:"All but the device that asks"`
}) (*struct{}, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	keep := ""
	if in.Others {
		keep = id.Device
	}
	return nil, c.RemoveDevices(ctx, id.User, keep)
}
