package userctr_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func TestDevicesOfAnOutsideSystemsUsersAreKept(t *testing.T) {
	b := start(t, withOutside)
	token := sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Add(31 * 24 * time.Hour).Unix(), "device": "desk", "platform": "web", "version": "1"})
	id := b.who(token)
	arrive := func(device, version string) {
		t.Helper()
		id.Device, id.Version = device, version
		b.Arrived(&id)
	}
	devices := func() (all []string) {
		rows, err := b.Devices(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range rows {
			all = append(all, fmt.Sprint(d.Device, " ", d.Version, " ", d.LastSeen.Sub(d.Created)))
		}
		return all
	}
	arrive("desk", "1")
	b.pass(time.Minute)
	arrive("desk", "1")
	if got := devices(); !slices.Equal(got, []string{"desk 1 0s"}) {
		t.Errorf("devices = %q", got)
	}
	b.pass(10 * time.Minute)
	arrive("desk", "2")
	if got := devices(); !slices.Equal(got, []string{"desk 2 11m0s"}) {
		t.Errorf("devices = %q", got)
	}
	for i := range 60 {
		b.pass(time.Second)
		arrive(fmt.Sprint("d", i), "1")
	}
	if got := devices(); len(got) != 50 || got[0] != "d59 1 0s" || got[49] != "d10 1 0s" {
		t.Errorf("%d devices are kept, from %q to %q; want the last 50", len(got), got[0], got[len(got)-1])
	}

	var closed []string
	b.OnDevice(func(user protocol.UserID, device string, code protocol.Code) {
		closed = append(closed, user+" "+device+" "+code.Word())
	})
	if err := b.RemoveDevice(t.Context(), "ann", "d20"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(closed, []string{"ann d20 UNAUTHORIZED"}) {
		t.Errorf("closed %q, want the device's sockets", closed)
	}
	b.told()
	if err := b.RemoveDevices(t.Context(), "ann", ""); err != nil {
		t.Fatal(err)
	}
	if told := b.told(); !slices.Contains(told, "ann  UNAUTHORIZED") || len(closed) != 50 || len(devices()) != 0 {
		t.Errorf("told %q, closed %d, left %q", told, len(closed), devices())
	}
	arrive("d20", "1") // an outside token is good until it ends
	if got := devices(); len(got) != 1 {
		t.Errorf("devices = %q", got)
	}
}

func TestADeviceThatHasJustArrivedCanBeWoken(t *testing.T) {
	b := start(t, withOutside)
	ann := b.who(sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Add(time.Hour).Unix()}))
	for i := range 40 { // some arrive while others' rows are written
		ann.Device = fmt.Sprint("d", i)
		b.Arrived(&ann)
		if err := b.SetPush(t.Context(), userctr.Push{User: "ann", Device: ann.Device, Kind: "fcm", Token: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := b.Pushes(t.Context(), "ann")
	if err != nil || len(rows) != 1 || rows[0].Device != "d39" {
		t.Errorf("woken are %v (%v), want d39", rows, err)
	}
}

func TestAPushServicesTokenWakesOneDevice(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	ann, bob := b.signUp("ann"), b.signUp("bob")
	put := func(g *userctr.Grant, device, body string) int {
		status, _ := call(t, h, g.Token, "PUT", "/users/me/devices/"+device+"/push", body)
		return status
	}
	pushes := func(g *userctr.Grant) (all []string) {
		rows, err := b.Pushes(t.Context(), g.User.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range rows {
			all = append(all, p.Device+" "+p.Kind+" "+p.Token)
		}
		return all
	}
	if got := put(ann, "phone", `{"kind":"fcm","token":"t1"}`); got != 204 {
		t.Errorf("answered %d", got)
	}
	for body, want := range map[string]int{`{"kind":"fcm","token":""}`: 422, `{"kind":"smoke","token":"x"}`: 422, `{"kind":"fcm","token":"a\u0000b"}`: 400} {
		if got := put(ann, "phone", body); got != want {
			t.Errorf("%s answered %d, want %d", body, got, want)
		}
	}
	if got := put(ann, "toaster", `{"kind":"fcm","token":"t2"}`); got != 404 {
		t.Errorf("for a device that is none it answered %d", got)
	}
	b.login("ann", "phone", "ios") // another sign-in there changes nothing
	if got := pushes(ann); !slices.Equal(got, []string{"phone fcm t1"}) {
		t.Errorf("ann's = %q", got)
	}
	if got := put(bob, "phone", `{"kind":"fcm","token":"t1"}`); got != 204 { // somebody else on the same telephone
		t.Errorf("answered %d", got)
	}
	if a, z := pushes(ann), pushes(bob); len(a) != 0 || !slices.Equal(z, []string{"phone fcm t1"}) {
		t.Errorf("ann's = %q, bob's = %q; want bob's alone", a, z)
	}
	put(bob, "phone", `{"kind":"apns","token":"t3"}`)
	put(ann, "phone", `{"kind":"fcm","token":"t1"}`)
	if a, z := pushes(ann), pushes(bob); !slices.Equal(a, []string{"phone fcm t1"}) || !slices.Equal(z, []string{"phone apns t3"}) {
		t.Errorf("ann's = %q, bob's = %q", a, z)
	}
	if status, _ := call(t, h, ann.Token, "DELETE", "/users/me/devices/phone/push", ""); status != 204 || len(pushes(ann)) != 0 {
		t.Errorf("taken back: %d, left %q", status, pushes(ann))
	}
	if err := b.RemoveDevice(t.Context(), bob.User.ID, "phone"); err != nil || len(pushes(bob)) != 0 {
		t.Errorf("a device that is signed out is woken: %q, %v", pushes(bob), err)
	}
}
