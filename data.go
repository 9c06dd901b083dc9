package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/mongostore"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/userctr"
)

// storeDir is the store's part of the data directory. Beside it lie the user
// centre's secrets and, while a server runs, the admin socket.
const storeDir = "store"

// filesDir is the file centre's part: contents, and uploads under way.
const filesDir = "files"

// nodeFile is the name of the node whose the data directory is, where there may be others.
const nodeFile = "node"

// previewsDir has the pictures of link previews. They can be had again, so no backup has them.
const previewsDir = "previews"

// data is an open data directory: what is kept, and the user centre on it.
type data struct {
	dir   string
	store store
	users *userctr.Center
	files *filectr.Center
	blobs filectr.Blobs

	bucket string // where contents are, "": in dir
}

// openData opens c's data directory, and makes it when there is none. It fails
// while another process has it open.
func openData(c *Config, log *slog.Logger) (*data, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	store, err := openStore(c, log)
	if err != nil {
		return nil, err
	}
	users, err := userctr.New(c.Users, store, time.Now, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d := &data{dir: c.Data, store: store, users: users}
	if c.Files.S3.Endpoint != "" {
		d.bucket = c.Files.S3.Bucket
	}
	if d.blobs, err = openBlobs(&c.Files, log); err == nil {
		files := c.Files
		if c.shared() {
			files.Node, err = nodeName(c.Data)
		}
		files.Key = users.Derive("links of files")
		files.Apps, files.Admins, files.Users = appLimits{users}, users, users
		if err == nil {
			d.files, err = filectr.New(files, store, d.blobs, time.Now, log)
			users.UseAvatars(d.files)
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return d, nil
}

// openStore opens MongoDB where it is set, else the store in the data directory.
func openStore(c *Config, log *slog.Logger) (store, error) {
	if !c.shared() {
		opts := c.Store
		opts.Log = log
		return pebblestore.Open(filepath.Join(c.Data, storeDir), opts)
	}
	lock, err := pebblestore.LockDirectory(c.Data)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), mongoWithin)
	defer cancel()
	s, err := mongostore.Open(ctx, mongostore.Options{URI: string(c.Mongo), Log: log})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := c.checkMoved(s, log); err != nil {
		return nil, errors.Join(err, s.Close(), lock.Close())
	}
	return &inMongo{s, lock}, nil
}

// checkMoved refuses to start what was moved into s with the secrets of another installation, or with none, so that
// new ones would be made: every sign-in would end.
func (c *Config) checkMoved(s *mongostore.Store, log *slog.Logger) error {
	installation, at := s.Moved()
	if at.IsZero() {
		if used, err := os.Stat(filepath.Join(c.Data, storeDir)); err == nil && used.IsDir() {
			log.Warn("the data directory has a store of its own, which is not used: everything is in MongoDB, and nothing was moved there (troupe migrate)", "dir", filepath.Join(c.Data, storeDir))
		}
		return nil
	}
	path := cmp.Or(c.Users.Secrets, filepath.Join(c.Data, userctr.SecretsFile))
	own, err := userctr.Installation(path)
	if err == nil && own != installation || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s was moved into this database, and %s has not its secrets: bring the secrets.json that it had. Without them every sign-in ends; if they are lost, db.meta.updateOne({_id: \"log\"}, {$unset: {moved: \"\"}}) says that so be it", installation, path)
	}
	return err
}

// mongoWithin is how long a start waits for MongoDB.
const mongoWithin = 30 * time.Second

// inMongo is a store that is not in the data directory, and the lock of that: its admin
// socket and uploads are one process's.
type inMongo struct {
	*mongostore.Store
	lock io.Closer
}

func (e *inMongo) Close() error { return errors.Join(e.Store.Close(), e.lock.Close()) }

// nodeName gives the name of the node whose data directory this is, and makes it at the first start.
func nodeName(dir string) (string, error) {
	path := filepath.Join(dir, nodeFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text())
		err = writeDurably(path, text)
	}
	return strings.TrimSpace(string(text)), err
}

// openBlobs opens what keeps files' contents: a bucket where one is set, else a directory.
func openBlobs(c *filectr.Config, log *slog.Logger) (filectr.Blobs, error) {
	if c.S3.Endpoint != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return filectr.NewBucket(ctx, c.S3, log)
	}
	if c.Shared != "" {
		return filectr.NewSharedDirectory(filepath.Join(c.Shared, filectr.BlobsDir))
	}
	return filectr.NewDirectory(filepath.Join(c.Data, filectr.BlobsDir))
}

func (d *data) close() error { return d.store.Close() }

// backedUp says what became of the contents of files in a backup.
type backedUp struct {
	filectr.Collected
	Bucket string `json:"bucket,omitempty"` // they stayed there
}

// backup copies everything into dir, which must not exist or be empty, so that
// dir can stand in the place of the data directory. Contents that are in a bucket are
// copied as well where bucket says so; else it is looked whether they are there.
func (d *data) backup(ctx context.Context, dir string, bucket bool) (done backedUp, err error) {
	store, embedded := d.store.(*pebblestore.Store)
	if !embedded {
		return done, errors.New("what is in MongoDB is not in the data directory: mongodump copies it, and docs/mongodb.md says what belongs to it")
	}
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return done, err
	case len(entries) > 0:
		return done, fmt.Errorf("%s is not empty", dir)
	}
	kept := filepath.Join(dir, filesDir, filectr.BlobsDir)
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return done, err
	}
	here, local := d.blobs.(*filectr.Directory)
	var to *filectr.Directory
	if !local && bucket {
		if to, err = filectr.NewDirectory(kept); err != nil {
			return done, err
		}
	}
	err = d.files.Still(func() error {
		err := store.Backup(filepath.Join(dir, storeDir), func(each func(func(filectr.Sum) error) error) (err error) {
			if local {
				if err := here.CopyTo(kept); err != nil {
					return err
				}
			}
			done.Collected, err = d.files.Collect(ctx, false, to, each)
			return err
		})
		return err
	})
	if err != nil {
		return done, err
	}
	if !local && to == nil {
		done.Bucket = d.bucket
	}
	secrets, err := os.ReadFile(filepath.Join(d.dir, userctr.SecretsFile))
	if err != nil {
		return done, err
	}
	if err := writeDurably(filepath.Join(dir, userctr.SecretsFile), secrets); err != nil {
		return done, err
	}
	switch approved, err := os.ReadFile(filepath.Join(d.dir, plugins.LockFile)); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return done, err
	default:
		if err := writeDurably(filepath.Join(dir, plugins.LockFile), approved); err != nil {
			return done, err
		}
	}
	return done, errors.Join(syncDir(filepath.Join(dir, filesDir)), syncDir(dir))
}

func writeDurably(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// appLimits is the user centre as the file centre asks about applications.
type appLimits struct{ *userctr.Center }

func (a appLimits) HasApp(app string) bool {
	_, err := a.App(app)
	return err == nil
}

func (a appLimits) FileLimits(app string) filectr.AppLimits {
	l := a.Center.FileLimits(app)
	out := filectr.AppLimits{Types: l.Types, Max: map[filectr.Kind]int64{}, Quota: l.Quota, QuotaGuests: l.QuotaGuests}
	for _, k := range l.Kinds {
		out.Kinds = append(out.Kinds, filectr.Kind(k))
	}
	for k, n := range l.Max {
		out.Max[filectr.Kind(k)] = n
	}
	return out
}
