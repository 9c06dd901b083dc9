// Command ferret runs FerretDB v1.24.2, which speaks MongoDB's protocol, on SQLite: the
// tests' stand-in for MongoDB. It is a module of its own, so that nothing of it is
// among the server's dependencies.
//
// It listens at its first argument and keeps its data in the folder that is its second
// one. It ends, and removes the folder, when its input ends: when whoever started it
// is gone, however that came.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ferret ADDRESS FOLDER")
		os.Exit(2)
	}
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = os.RemoveAll(os.Args[2])
		os.Exit(0)
	}()
	if err := f.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
