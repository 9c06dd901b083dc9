package mongostore

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// deviceDoc is a device of a user. Of two who change it at once the later one's stands, which for what
// a device is called and when it was seen is all that is needed.
type deviceDoc struct {
	ID       string `bson:"_id"` // joined user and device
	Mark     string `bson:"mark"`
	User     string `bson:"user"`
	Device   string `bson:"device"`
	Name     string `bson:"name"`
	Platform string `bson:"platform"`
	Version  string `bson:"version"`
	Created  int64  `bson:"created"`
	LastSeen int64  `bson:"lastSeen"`
}

func deviceID(user protocol.UserID, device string) string { return joined(user, device) }

// putDevice keeps a new device, or changes the row that there is.
func (s *Store) putDevice(ctx context.Context, d *userctr.DeviceRow, how bson.D) error {
	id := deviceID(d.User, d.Device)
	for {
		there, err := s.change(ctx, inDevices, id, how)
		if err != nil || there {
			return err
		}
		doc := deviceDoc{
			ID: id, Mark: s.token(), User: d.User, Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version,
			Created: nanos(d.Created), LastSeen: nanos(d.LastSeen),
		}
		if err := s.put(ctx, inDevices, id, doc.Mark, doc); !errors.Is(err, errTaken) {
			return err
		}
	}
}

func (s *Store) devicesOf(ctx context.Context, users []protocol.UserID) ([]*deviceDoc, error) {
	return find[deviceDoc](ctx, s, inDevices, bson.D{in("user", users)}, options.Find().SetSort(bson.D{eq("lastSeen", -1), eq("_id", 1)}))
}

// Devices fills userctr.Store.
func (s *Store) Devices(ctx context.Context, user protocol.UserID) (devices []*userctr.DeviceRow, err error) {
	docs, err := s.devicesOf(ctx, []protocol.UserID{user})
	for _, d := range docs {
		devices = append(devices, &userctr.DeviceRow{
			User: d.User, Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version,
			Created: fromNanos(d.Created), LastSeen: fromNanos(d.LastSeen),
		})
	}
	return devices, err
}

// SeenDevice fills userctr.Store.
func (s *Store) SeenDevice(ctx context.Context, user protocol.UserID, device string, at time.Time) error {
	_, err := s.change(ctx, inDevices, deviceID(user, device), bson.D{eq("$max", bson.D{eq("lastSeen", nanos(at))})})
	return err
}

// SeeDevices fills userctr.DeviceStore. Of a user whose devices come to two nodes at once there may be some more than
// most for a while.
func (s *Store) SeeDevices(ctx context.Context, devices []*userctr.DeviceRow, most int) error {
	for len(devices) > 0 {
		n := distinct(devices)
		if err := s.seeDevices(ctx, devices[:n], most); err != nil {
			return err
		}
		devices = devices[n:]
	}
	return nil
}

// distinct is how many of the first devices belong to different users.
func distinct(devices []*userctr.DeviceRow) int {
	seen := make(map[protocol.UserID]bool, len(devices))
	for i, d := range devices {
		if seen[d.User] || i == atOnce {
			return i
		}
		seen[d.User] = true
	}
	return len(devices)
}

// seeDevices is SeeDevices for devices of different users. What there is of all of them is read by one command.
func (s *Store) seeDevices(ctx context.Context, devices []*userctr.DeviceRow, most int) error {
	users := make([]protocol.UserID, len(devices))
	for i, d := range devices {
		users[i] = d.User
	}
	docs, err := s.devicesOf(ctx, users)
	if err != nil {
		return err
	}
	has := map[protocol.UserID][]*deviceDoc{}
	for _, d := range docs {
		has[d.User] = append(has[d.User], d)
	}
	for _, d := range devices {
		known := slices.ContainsFunc(has[d.User], func(is *deviceDoc) bool { return is.Device == d.Device })
		if n := len(has[d.User]); !known && n >= most {
			for _, old := range has[d.User][max(0, min(most-1, n)):] {
				if err := s.RemoveDevice(ctx, old.User, old.Device); err != nil {
					return err
				}
			}
		}
		if err := s.putDevice(ctx, d, bson.D{
			eq("$set", bson.D{eq("platform", d.Platform), eq("version", d.Version)}),
			eq("$max", bson.D{eq("lastSeen", nanos(d.LastSeen))}),
		}); err != nil {
			return err
		}
	}
	return nil
}

// RemoveDevice fills userctr.Store: first the device, then how it is woken, which PutPush looks for in the
// other order.
func (s *Store) RemoveDevice(ctx context.Context, user protocol.UserID, device string) error {
	if err := s.remove(ctx, inDevices, deviceID(user, device)); err != nil {
		return err
	}
	return s.RemovePush(ctx, user, device)
}

// pushDoc is how a device is woken. It never changes: another is inserted when this one was removed.
type pushDoc struct {
	ID      string `bson:"_id"` // its mark, as nobody else ever has it
	Mark    string `bson:"mark"`
	Device  string `bson:"device"` // joined user and device; unique
	Whose   string `bson:"whose"`  // hash of kind and token in hex; unique
	User    string `bson:"user"`
	Name    string `bson:"name"` // of the device
	Kind    string `bson:"kind"`
	Token   string `bson:"token"`
	App     string `bson:"app,omitempty"`
	Created int64  `bson:"created"`
}

// PutPush fills userctr.DeviceStore. After a crash in the middle the device may not be woken at all, until it says how
// once more, as it has had no answer.
func (s *Store) PutPush(ctx context.Context, p *userctr.Push) error {
	if err := s.hasDevice(ctx, p); err != nil {
		return err
	}
	d := pushDoc{
		Mark: s.token(), Device: deviceID(p.User, p.Device), Whose: hexOf(sha256.Sum256([]byte(p.Kind + "\x00" + p.Token))),
		User: p.User, Name: p.Device, Kind: p.Kind, Token: p.Token, App: p.App, Created: nanos(p.Created),
	}
	d.ID = d.Mark
	for {
		err := s.put(ctx, inPushes, d.ID, d.Mark, d)
		if err == nil {
			break
		}
		if !errors.Is(err, errTaken) {
			return err
		}
		if err := s.removePushes(ctx, bson.D{eq("device", d.Device)}); err != nil {
			return err
		}
		if err := s.removePushes(ctx, bson.D{eq("whose", d.Whose)}); err != nil {
			return err
		}
	}
	if err := s.hasDevice(ctx, p); err != nil { // it was removed meanwhile
		if protocol.Code_NOT_FOUND.Is(err) {
			err = either(s.remove(ctx, inPushes, d.ID), err)
		}
		return err
	}
	return nil
}

func (s *Store) hasDevice(ctx context.Context, p *userctr.Push) error {
	d, err := get[deviceDoc](ctx, s, inDevices, deviceID(p.User, p.Device))
	if err == nil && d == nil {
		err = protocol.NotFound("device %s", p.Device)
	}
	return err
}

// removePushes removes what it finds by their own ids, and not what takes their place meanwhile.
func (s *Store) removePushes(ctx context.Context, which bson.D) error {
	docs, err := find[pushDoc](ctx, s, inPushes, which)
	for _, d := range docs {
		err = either(err, s.remove(ctx, inPushes, d.ID))
	}
	return err
}

// RemovePush fills userctr.DeviceStore.
func (s *Store) RemovePush(ctx context.Context, user protocol.UserID, device string) error {
	return s.removePushes(ctx, bson.D{eq("device", deviceID(user, device))})
}

// Pushes fills userctr.DeviceStore.
func (s *Store) Pushes(ctx context.Context, user protocol.UserID) (all []*userctr.Push, err error) {
	docs, err := find[pushDoc](ctx, s, inPushes, bson.D{eq("user", user)}, options.Find().SetSort(bson.D{eq("name", 1)}))
	for _, d := range docs {
		all = append(all, &userctr.Push{User: d.User, Device: d.Name, Kind: d.Kind, Token: d.Token, App: d.App, Created: fromNanos(d.Created)})
	}
	return all, err
}
