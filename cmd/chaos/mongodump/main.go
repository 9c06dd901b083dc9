// Command mongodump prints what a database holds about sessions, as JSON. It reads
// the documents by itself and imports nothing of the server, so that a mistake there
// cannot hide itself here.
//
//	mongodump URI > dump.json
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mongodump mongodb://HOST:PORT/DATABASE")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "mongodump:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, uri string) (err error) {
	before, _, _ := strings.Cut(uri, "?")
	name := before[strings.LastIndex(before, "/")+1:]
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Disconnect(ctx)) }()
	d := &documents{}
	db := client.Database(name)
	for collection, into := range map[string]any{"commits": &d.commits, "members": &d.members, "marks": &d.marks} {
		cursor, err := db.Collection(collection).Find(ctx, bson.D{})
		if err != nil {
			return fmt.Errorf("%s: %w", collection, err)
		}
		if err := cursor.All(ctx, into); err != nil {
			return fmt.Errorf("%s: %w", collection, err)
		}
	}
	dump, err := d.dump()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(dump)
}
