package userctr

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
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

func (c *Center) getDevices(ctx context.Context, in *Paged) (*devicesAnswer, error) {
	id, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Devices(ctx, id.User)
	if err != nil {
		return nil, err
	}
	if in.Cursor != "" {
		after, err := parseDeviceCursor(in.Cursor)
		if err != nil {
			return nil, err
		}
		rows = slices.DeleteFunc(rows, func(d *DeviceRow) bool { return !after.precedes(d) })
	}
	out := &devicesAnswer{}
	out.Body.Items = []deviceBody{}
	for _, d := range rows[:min(len(rows), in.Limit)] {
		out.Body.Items = append(out.Body.Items, deviceBody{
			Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version,
			CreatedAt: d.Created, LastSeenAt: d.LastSeen, Current: d.Device == id.Device,
		})
	}
	if len(rows) > in.Limit {
		out.Body.Next = cursorOf(rows[in.Limit-1]).String()
	}
	return out, nil
}

// deviceCursor is the last device of a page. A device that is seen meanwhile moves to
// the first page, and is on no later one.
type deviceCursor struct {
	seen   int64 // Unix nanoseconds
	device string
}

func cursorOf(d *DeviceRow) deviceCursor { return deviceCursor{d.LastSeen.UnixNano(), d.Device} }

func (c deviceCursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.seen, 36) + " " + c.device))
}

func parseDeviceCursor(s string) (deviceCursor, error) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	seen, device, found := strings.Cut(string(text), " ")
	n, bad := strconv.ParseInt(seen, 36, 64)
	if err != nil || bad != nil || !found {
		return deviceCursor{}, badCursor()
	}
	return deviceCursor{n, device}, nil
}

// precedes says whether d is on a later page: seen before, or at the same time with a greater name.
func (c deviceCursor) precedes(d *DeviceRow) bool {
	if n := d.LastSeen.UnixNano(); n != c.seen {
		return n < c.seen
	}
	return d.Device > c.device
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
