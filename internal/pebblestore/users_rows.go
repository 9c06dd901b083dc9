package pebblestore

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Tables of the user centre. Words in a key are as rowKey makes them.
const (
	tableUser    = 0x40 // user → userRow
	tableName    = 0x41 // folded name → user
	tableInvite  = 0x42 // invitation → inviteRow
	tableLogin   = 0x43 // login → loginRow
	tableLogins  = 0x44 // user, login → nothing; not the revoked ones
	tableRevoked = 0x45 // login → time of its end, 8 bytes of nanoseconds
	tableRefresh = 0x46 // login, hash in hex → refreshRow
	tableChild   = 0x47 // login, hash of the parent in hex → hash of the child in hex
	tableDevice  = 0x48 // user, device → deviceRow

	tableTerm     = 0x54 // term, user → nothing: see users_find.go
	tableStanding = 0x55 // user → last active in milliseconds 8, chosen status: see standings.go
)

// Rows are JSON: they are few, and fields come and go. Times are Unix nanoseconds, 0: none.

type userRow struct {
	Version  int64  `json:"version"`
	Name     string `json:"name,omitempty"`
	Folded   string `json:"folded,omitempty"`
	Nickname string `json:"nickname,omitempty"`
	Avatar   string `json:"avatar,omitempty"`
	Kind     string `json:"kind"`
	Admin    bool   `json:"admin,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Gone     bool   `json:"gone,omitempty"`
	Created  int64  `json:"created"`
	Password string `json:"password,omitempty"`
	Outside  string `json:"outside,omitempty"`

	Fields   map[string]string `json:"fields,omitempty"`
	Findable string            `json:"findable,omitempty"`
	App      string            `json:"app,omitempty"`
}

func rowOfUser(u *userctr.User) userRow {
	return userRow{
		Version: u.Version, Name: u.Name, Folded: u.Folded, Nickname: u.Nickname, Avatar: u.Avatar, Kind: string(u.Kind),
		Admin: u.Admin, Disabled: u.Disabled, Gone: u.Gone, Created: nanos(u.Created), Password: u.Password, Outside: u.Outside, Fields: u.Fields, Findable: string(u.Findable),
		App: u.App,
	}
}

func (r userRow) user(id protocol.UserID) *userctr.User {
	return &userctr.User{
		ID: id, Version: r.Version, Name: r.Name, Folded: r.Folded, Nickname: r.Nickname, Avatar: r.Avatar, Kind: userctr.Kind(r.Kind),
		Admin: r.Admin, Disabled: r.Disabled, Gone: r.Gone, Created: fromNanos(r.Created), Password: r.Password, Outside: r.Outside, Fields: r.Fields, Findable: userctr.Findable(r.Findable),
		App: r.App,
	}
}

type inviteRow struct {
	Hash    []byte `json:"hash"`
	Admin   bool   `json:"admin,omitempty"`
	Uses    int    `json:"uses"`
	Used    int    `json:"used"`
	By      string `json:"by,omitempty"`
	Created int64  `json:"created"`
	Expires int64  `json:"expires,omitempty"`
}

func rowOfInvite(i *userctr.Invite) inviteRow {
	return inviteRow{Hash: i.Hash[:], Admin: i.Admin, Uses: i.Uses, Used: i.Used, By: i.By, Created: nanos(i.Created), Expires: nanos(i.Expires)}
}

func (r inviteRow) invite(id string) *userctr.Invite {
	i := &userctr.Invite{ID: id, Admin: r.Admin, Uses: r.Uses, Used: r.Used, By: r.By, Created: fromNanos(r.Created), Expires: fromNanos(r.Expires)}
	copy(i.Hash[:], r.Hash)
	return i
}

type loginRow struct {
	User     string `json:"user"`
	Device   string `json:"device"`
	Platform string `json:"platform,omitempty"`
	Version  string `json:"version,omitempty"`
	Created  int64  `json:"created"`
	Expires  int64  `json:"expires"`
	Revoked  int64  `json:"revoked,omitempty"`
}

func rowOfLogin(l *userctr.Login) loginRow {
	return loginRow{
		User: l.User, Device: l.Device, Platform: l.Platform, Version: l.Version,
		Created: nanos(l.Created), Expires: nanos(l.Expires), Revoked: nanos(l.Revoked),
	}
}

func (r loginRow) login(id string) *userctr.Login {
	return &userctr.Login{
		ID: id, User: r.User, Device: r.Device, Platform: r.Platform, Version: r.Version,
		Created: fromNanos(r.Created), Expires: fromNanos(r.Expires), Revoked: fromNanos(r.Revoked),
	}
}

type refreshRow struct {
	Parent string `json:"parent,omitempty"` // in hex, "": the first
	Nonce  []byte `json:"nonce,omitempty"`
	Issued int64  `json:"issued"`
}

func rowOfRefresh(r *userctr.Refresh) refreshRow {
	row := refreshRow{Nonce: r.Nonce, Issued: nanos(r.Issued)}
	if r.Parent != (userctr.Hash{}) {
		row.Parent = hexOf(r.Parent)
	}
	return row
}

func (r refreshRow) refresh(login string, hash userctr.Hash) (*userctr.Refresh, error) {
	parent, err := hashOf(r.Parent)
	if err != nil {
		return nil, err
	}
	return &userctr.Refresh{Hash: hash, Parent: parent, Login: login, Nonce: r.Nonce, Issued: fromNanos(r.Issued)}, nil
}

type deviceRow struct {
	Name     string `json:"name,omitempty"`
	Platform string `json:"platform,omitempty"`
	Version  string `json:"version,omitempty"`
	Created  int64  `json:"created"`
	LastSeen int64  `json:"lastSeen"`
}

func rowOfDevice(d *userctr.DeviceRow) deviceRow {
	return deviceRow{Name: d.Name, Platform: d.Platform, Version: d.Version, Created: nanos(d.Created), LastSeen: nanos(d.LastSeen)}
}

func (r deviceRow) device(user protocol.UserID, device string) *userctr.DeviceRow {
	return &userctr.DeviceRow{
		User: user, Device: device, Name: r.Name, Platform: r.Platform, Version: r.Version,
		Created: fromNanos(r.Created), LastSeen: fromNanos(r.LastSeen),
	}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func hexOf(h userctr.Hash) string { return hex.EncodeToString(h[:]) }

func hashOf(s string) (h userctr.Hash, err error) {
	if s == "" {
		return h, nil
	}
	if n, err := hex.Decode(h[:], []byte(s[:min(len(s), 2*len(h))])); err != nil || n != len(h) || len(s) != 2*len(h) {
		return h, fmt.Errorf("pebblestore: %q is no hash", s)
	}
	return h, nil
}

// putRow writes a row as JSON.
func putRow(t *tx, key []byte, row any) error {
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("pebblestore: encode a row: %w", err)
	}
	t.put(key, text)
	return nil
}

// writeRow is putRow for a row that nothing reads back within this change.
func writeRow(t *tx, key []byte, row any) error {
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("pebblestore: encode a row: %w", err)
	}
	t.write(key, text)
	return nil
}

// reader is a Store or a tx.
type reader interface {
	get(key []byte) (value []byte, found bool, err error)
}

// getRow reads a row that putRow wrote. No row is protocol.NotFound, which names what.
func getRow[R any](from reader, key []byte, what, id string) (row R, err error) {
	text, found, err := from.get(key)
	if err != nil {
		return row, err
	}
	if !found {
		return row, protocol.NotFound("%s %s", what, id)
	}
	return row, parseRow(text, &row)
}

func parseRow(text []byte, row any) error {
	if err := json.Unmarshal(text, row); err != nil {
		return fmt.Errorf("pebblestore: a damaged row: %w", err)
	}
	return nil
}
