package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/mongostore"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/userctr"
)

const migrateUsage = `usage: troupe migrate --from DIR --to URI [flags]

Moves an installation that keeps everything in the data directory DIR into a MongoDB,
where several nodes share it. Its server must be stopped; the database must be empty. What
was broken off goes on where it was when the same command is given again. Nothing in DIR is
changed, but that it is a backup of this moment from then on: docs/mongodb.md has the steps,
and the way back.

Without --from the setting data says which directory, without --to the setting mongo which
database. URI has a password in it: TROUPE_MONGO_FILE or --mongo-file keep it out of the
process list. With files-dir the contents of files are copied there; with S3 they stay where
they are. The setting secrets names the file that all nodes will read, where it is
there already: it is looked whether it is this installation's.

  --from DIR         the data directory that is moved
  --to URI           the database
  --lacking-files    go on though contents of files are missing already`

// migration is what the command was told.
type migration struct {
	from, to string
	lacking  bool // contents of files may be missing
	*Config
}

// migrate moves what is in a data directory into MongoDB.
func (p *program) migrate(ctx context.Context, args []string) error {
	m := &migration{}
	l, err := p.settings(args, migrateUsage, func(f *flag.FlagSet) {
		f.StringVar(&m.from, "from", "", "the data directory that is moved")
		f.StringVar(&m.to, "to", "", "the database")
		f.BoolVar(&m.lacking, "lacking-files", false, "go on though contents of files are missing")
	})
	if err != nil {
		return err
	}
	if len(l.args) > 0 {
		return errUsage{fmt.Errorf("migrate takes flags only: troupe migrate --from DIR --to URI, not %q", l.args[0])}
	}
	if m.Config = &l.Config; m.from == "" {
		m.from = m.Data
	}
	if m.to == "" {
		m.to = string(m.Mongo)
	}
	if m.to == "" {
		return errUsage{errors.New("migrate needs a database: --to URI, or the setting mongo")}
	}
	if err := mongostore.CheckURI(m.to); err != nil {
		return errUsage{fmt.Errorf("--to: %w", err)}
	}
	if m.from, err = filepath.Abs(m.from); err != nil {
		return err
	}
	return m.run(ctx, p)
}

func (m *migration) run(ctx context.Context, p *program) error {
	log := slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelError}))
	say := func(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }
	installation, err := m.installation()
	if err != nil {
		return err
	}
	source, err := pebblestore.OpenExport(filepath.Join(m.from, storeDir), pebblestore.Options{Log: log})
	if err != nil {
		return err
	}
	defer source.Close()
	// A command may take longer than in a server, where somebody waits for it.
	target, err := mongostore.OpenImport(ctx, mongostore.Options{URI: m.to, Log: log, Timeout: time.Minute, Patience: time.Minute})
	if err != nil {
		return err
	}
	defer target.Close()
	of, again := source.Origin()
	of.Installation = installation
	epoch := of.Epoch
	if again {
		epoch = newEpoch()
	}
	say("from %s: installation %s, as of change %d", m.from, installation, of.Change)
	say("to   %s", mongostore.Place(m.to))
	at, err := target.Claim(ctx, of, epoch, true)
	if err != nil {
		return err
	}
	if at.Done.IsZero() {
		if err := m.files(ctx, source, log, say); err != nil {
			return err
		}
	}
	report, err := migrate.Run(ctx, migrate.Config{Origin: of, Epoch: epoch, Say: func(line string) { say("  %s", line) }}, source, target)
	if err != nil {
		return fmt.Errorf("%w\nNothing was changed in %s, and a server may be started on it again. When this is mended, the same command goes on from here.", err, m.from)
	}
	if !report.Already.IsZero() {
		say("It was moved already, on %s: nothing is to be done.", report.Already.UTC().Format(time.DateTime))
		return nil
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, k := range report.Kinds {
		if k.Count == 0 {
			continue
		}
		fmt.Fprintf(table, "  %s\t%d\t%s\n", k.Kind, k.Count, k.Digest)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	say("All of it is there, count by count and hash by hash.")
	m.next(say)
	return nil
}

// newEpoch names logs that may have gone back.
func newEpoch() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// installation gives the id of the installation that is moved. It refuses one without secrets, and a
// file for all nodes that is another installation's.
func (m *migration) installation() (string, error) {
	own := filepath.Join(m.from, userctr.SecretsFile)
	_, err := os.Stat(own)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case m.Users.Secrets != "":
		return userctr.Installation(m.Users.Secrets)
	default:
		return "", fmt.Errorf("%s is missing: without it every sign-in ends, and what applications keep secret cannot be opened; restore it from a backup, or name it by the setting secrets", own)
	}
	id, err := userctr.Installation(own)
	if err != nil || m.Users.Secrets == "" {
		return id, err
	}
	switch shared, err := userctr.Installation(m.Users.Secrets); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case shared != id:
		return "", fmt.Errorf("%s has the secrets of another installation (%s, and this is %s): put a copy of %s there, as \"troupe secrets new\" is for an installation that begins", m.Users.Secrets, shared, id, own)
	}
	return id, nil
}

// files looks whether the contents of all files are there, and copies them to where all nodes see them.
func (m *migration) files(ctx context.Context, source *pebblestore.Export, log *slog.Logger, say func(string, ...any)) error {
	var from filectr.Blobs = filectr.ReadDirectory(filepath.Join(m.from, filesDir, filectr.BlobsDir))
	var to *filectr.Directory
	there := 0
	all := func(each func(filectr.Sum) error) error { return source.Contents(ctx, each) }
	wanted := all
	switch {
	case m.Files.S3.Endpoint != "":
		var err error
		if from, err = openBlobs(&m.Files, log); err != nil {
			return err
		}
	case m.FilesDir != "":
		var err error
		if to, err = filectr.NewSharedDirectory(filepath.Join(m.FilesDir, filectr.BlobsDir)); err != nil {
			return err
		}
		wanted = func(each func(filectr.Sum) error) error {
			return all(func(sum filectr.Sum) error {
				if b, err := to.Open(ctx, sum); err == nil { // of an earlier run: it got its name when it was whole
					there++
					return b.Close()
				}
				return each(sum)
			})
		}
	}
	got, err := filectr.Collect(ctx, from, log, false, to, wanted)
	if err != nil {
		return err
	}
	if to != nil {
		say("  contents of files: %d are copied to %s, %d bytes; %d were there", got.Contents, m.FilesDir, got.Bytes, there)
	} else {
		say("  contents of files: %d are there, %d bytes", got.Contents, got.Bytes)
	}
	if got.Lacking > 0 && !m.lacking {
		return fmt.Errorf("%d contents of files are missing or damaged: the lines above name them. Put them back from a backup, or say --lacking-files: then their files cannot be opened, as now", got.Lacking)
	}
	return nil
}

// next says what is left to be done.
func (m *migration) next(say func(string, ...any)) {
	say("\nWhat is left to be done, before a server is started with mongo (docs/mongodb.md, \"Move there\"):")
	own := filepath.Join(m.from, userctr.SecretsFile)
	say("- secrets: every node reads the same file. Put a copy of %s there, and name it by the setting secrets.\n  Without that, a node whose data is %s has them; any other ends every sign-in.", own, m.from)
	switch {
	case m.Files.S3.Endpoint != "":
		say("- files: they stay in the bucket %s.", m.Files.S3.Bucket)
	case m.FilesDir != "":
		say("- files: every node names %s by the setting files-dir.", m.FilesDir)
	default:
		say("- files: their contents are in %s. For several nodes, copy them\n  to DIR/%s, where DIR is what all nodes name by the setting files-dir, or bring them into a bucket.",
			filepath.Join(m.from, filesDir, filectr.BlobsDir), filectr.BlobsDir)
	}
	say("- plugins and plugins.lock, where there are any, go into each node's data.")
	say("Uploads under way begin anew. %s stays as it was, and is a backup of this moment: a server that is started\non it without mongo has everything up to now, and gives its logs a new epoch.", m.from)
}
