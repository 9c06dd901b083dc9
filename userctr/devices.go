package userctr

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// DeviceStore keeps devices besides those that a login makes, and how they are woken.
type DeviceStore interface {
	// SeeDevices keeps devices that came without a login, together: a new row each, or the old one with another
	// LastSeen, Platform and Version. Of more than most rows of a user's, those seen longest ago go.
	SeeDevices(ctx context.Context, devices []*DeviceRow, most int) error
	// PutPush keeps how a device is woken, in the place of what was kept before. Another device, of whoever it is, that
	// was woken by the same is so no more. No such device: protocol.NotFound.
	PutPush(ctx context.Context, p *Push) error
	// RemovePush ends that. There need not be one.
	RemovePush(ctx context.Context, user protocol.UserID, device string) error
	// Pushes gives how a user's devices are woken.
	Pushes(ctx context.Context, user protocol.UserID) ([]*Push, error)
}

// Push is how a device is woken when nobody is connected there.
type Push struct {
	User    protocol.UserID
	Device  string
	Kind    string // of PushKinds
	Token   string // of the push service; for webpush the subscription as JSON
	App     string // which of the operator's clients it is, "": there is one
	Created time.Time
}

// PushKinds are the services by which a device can be woken.
var PushKinds = []string{"apns", "fcm", "webpush", "getui", "hms", "mipush"}

const (
	// maxOutsideDevices is how many devices of a user are kept that came with tokens of an outside system.
	maxOutsideDevices = 50
	// seenEvery is how exactly the last sign of life of such a device is kept.
	seenEvery = 10 * time.Minute
	// maxPushToken is in bytes; a Web Push subscription has some 500.
	maxPushToken = 4096
	maxSeen      = 50_000
)

// arrival is a device's key in arrivals: a hash, as there are as many as connections,
// with a seed of this start's, so that nobody can choose one that is taken.
func (c *Center) arrival(user protocol.UserID, device string) uint64 {
	return maphash.Comparable(c.seed, [2]string{user, device})
}

// Arrived notes the device of somebody who came with an outside system's token, which makes no login. It does not wait
// until that is kept: what asks for devices does.
func (c *Center) Arrived(who *protocol.Identity) {
	if who.Login != "" || who.Device == "" || checkDevice(who.Device, who.Platform, who.Version) != nil {
		return
	}
	key, now := c.arrival(who.User, who.Device), c.now()
	if at, ok := c.arrivals.get(key); ok && now.Unix()-at < int64(seenEvery/time.Second) {
		return
	}
	c.arrivals.put(key, now.Unix())
	c.sightings.note(c, &DeviceRow{
		User: who.User, Device: who.Device, Platform: who.Platform, Version: who.Version, Created: now, LastSeen: now,
	})
}

// OnDevice names who is told that one device of a user is signed out, so that its sockets are closed, whatever
// token they came with.
func (c *Center) OnDevice(told func(user protocol.UserID, device string, code protocol.Code)) {
	c.onDevice.Store(&told)
}

// closeDevice closes the sockets of a device that is signed out.
func (c *Center) closeDevice(user protocol.UserID, device string) {
	c.arrivals.drop(c.arrival(user, device))
	if told := c.onDevice.Load(); told != nil {
		(*told)(user, device, protocol.Code_UNAUTHORIZED)
	}
}

// SetPush keeps how a device of the user's is woken. NOT_FOUND: there is no such device.
func (c *Center) SetPush(ctx context.Context, p Push) error {
	if !slices.Contains(PushKinds, p.Kind) {
		return protocol.BadRequest("kind: %.32q is none of %v", p.Kind, PushKinds)
	}
	if p.Token == "" || len(p.Token) > maxPushToken || !printable(p.Token) || len(p.App) > maxID || !printable(p.App) {
		return protocol.BadRequest("token: 1 to %d bytes are needed; app: %d at most", maxPushToken, maxID)
	}
	p.Created = c.now()
	if err := c.sightings.kept(ctx); err != nil {
		return err
	}
	return c.store.PutPush(ctx, &p)
}

// RemovePush ends that a device of the user's is woken.
func (c *Center) RemovePush(ctx context.Context, user protocol.UserID, device string) error {
	return c.store.RemovePush(ctx, user, device)
}

// Pushes gives how a user's devices are woken.
func (c *Center) Pushes(ctx context.Context, user protocol.UserID) ([]*Push, error) {
	return c.store.Pushes(ctx, user)
}
