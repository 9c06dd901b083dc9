package userctr_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// Two people come in: the first admin by the code of the first start, the other
// by the admin's invitation. When a login ends, whoever holds its sockets is told.
func Example() {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	data, err := os.MkdirTemp("", "troupe")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(data)
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: quiet})
	if err != nil {
		panic(err)
	}
	defer store.Close()

	center, err := userctr.New(userctr.Config{Data: data, Policy: userctr.InviteOnly}, store, time.Now, quiet)
	if err != nil {
		panic(err)
	}
	center.OnRevoke(func(_ protocol.UserID, _ string, code protocol.Code) {
		fmt.Println("close the sockets of this login:", code.Word())
	})

	setup, _ := center.SetupCode(ctx) // printed once
	root, err := center.SignUp(ctx, userctr.NewUser{Name: "root", Password: "correct horse", Code: setup}, userctr.Client{})
	if err != nil {
		panic(err)
	}
	who, _ := center.Authenticate(ctx, root.Token)
	fmt.Println("root is an admin:", who.Admin)

	code, _, err := center.MakeInvite(ctx, who, 1, 24*time.Hour)
	if err != nil {
		panic(err)
	}
	ann, err := center.SignUp(ctx, userctr.NewUser{Name: "Ann", Password: "battery staple", Code: code}, userctr.Client{Device: "phone"})
	if err != nil {
		panic(err)
	}
	ann, err = center.Refresh(ctx, ann.Refresh, "phone") // before the access token ends
	if err != nil {
		panic(err)
	}
	who, _ = center.Authenticate(ctx, ann.Token)
	fmt.Println(ann.User.Nickname, "speaks from", who.Device)

	if err := center.Logout(ctx, who); err != nil {
		panic(err)
	}
	_, err = center.Authenticate(ctx, ann.Token)
	fmt.Println(err)

	// Output:
	// root is an admin: true
	// Ann speaks from phone
	// close the sockets of this login: UNAUTHORIZED
	// unauthorized: this sign-in has ended
}
