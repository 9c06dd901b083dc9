// Package filectr is the file centre: pictures, voice, video and documents are kept
// here first and named in messages by their ids. docs/files.md tells the same story to
// operators and clients.
//
// A file never changes. It is its uploader's until it is sent, then it belongs to
// the sessions it was sent into: every request asks anew whether who asks may read an
// entry that names it. Nothing is ever listed.
package filectr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/troupe-im/troupe/filectr/ffmpeg"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Config is what an operator may set. A zero field means its written default.
type Config struct {
	Data string // the directory of files, and of uploads under way; it has to be given
	// Shared is a directory that all nodes of an installation see: contents, unless they are in S3,
	// and uploads in parts are there instead of in Data. "": there is none.
	Shared string
	Node   string // names this node where there may be others: the same after a restart, and nobody else's
	Key    []byte // signs links; 32 bytes that only this installation knows
	// Turn says of several nodes whether it is this one that sweeps; nil: it is.
	Turn func() bool

	MaxImage    int64 // bytes: 20 MiB
	MaxVoice    int64 // 20 MiB
	MaxVideo    int64 // 200 MiB
	MaxPackage  int64 // 500 MiB
	MaxDocument int64 // 200 MiB

	Quota      int64 // bytes of one user: 5 GiB
	QuotaGuest int64 // bytes of one anonymous visitor: 50 MiB, or Quota where that is less
	QuotaAll   int64 // bytes of all together: 100 GiB; visitors leave a tenth of it to everybody else
	MinFree    int64 // bytes of the disk that uploads leave free: 256 MiB

	Unsent   time.Duration // an upload that was not sent is kept so long: 24 h
	LinkLife time.Duration // of a signed link: 5 min
	Origin   string        // of links, like https://files.example.com; "": they are paths of the server's own
	Uploads  int           // at once: 256

	Clamd  string // HOST:PORT, or the path of a socket, of clamd, which looks at every file; "": nobody does
	FFmpeg string // "off": it is not asked, though it is installed

	Reviews Reviews // which files are looked at before others see them

	S3 S3 // where contents are, instead of in Data

	Apps   Apps   // knows applications; nil: there are none
	Admins Admins // nil: there are none, and nobody makes releases
	Users  Users  // nil: nobody is kept out
}

// Users knows who may come, for links, which are opened without a token.
type Users interface {
	// MayCome is nil for a user who may, else NOT_FOUND or UNAUTHORIZED.
	MayCome(ctx context.Context, id protocol.UserID) error
}

func (c Config) withDefaults() Config {
	bytes := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	bytes(&c.MaxImage, 20<<20)
	bytes(&c.MaxVoice, 20<<20)
	bytes(&c.MaxVideo, 200<<20)
	bytes(&c.MaxPackage, 500<<20)
	bytes(&c.MaxDocument, 200<<20)
	bytes(&c.Quota, 5<<30)
	bytes(&c.QuotaGuest, 50<<20)
	bytes(&c.QuotaAll, 100<<30)
	bytes(&c.MinFree, 256<<20)
	if c.Unsent == 0 {
		c.Unsent = 24 * time.Hour
	}
	if c.LinkLife == 0 {
		c.LinkLife = 5 * time.Minute
	}
	if c.Uploads == 0 {
		c.Uploads = 256
	}
	if c.Reviews.Within == 0 {
		c.Reviews.Within = 10 * time.Second
	}
	return c
}

// limit is what a file of a kind may have in bytes.
func (c Config) limit(k Kind) int64 {
	switch k {
	case Image:
		return c.MaxImage
	case Voice:
		return c.MaxVoice
	case Video:
		return c.MaxVideo
	case Package:
		return c.MaxPackage
	}
	return c.MaxDocument
}

// largest is what a file of any kind may have in bytes.
func (c Config) largest() int64 {
	return max(c.MaxImage, c.MaxVoice, c.MaxVideo, c.MaxPackage, c.MaxDocument)
}

// BlobsDir is the directory of contents below Config.Data.
const BlobsDir = "blobs"

// draftsDir, below Config.Data, has the uploads under way.
const draftsDir = "drafts"

// Center is the file centre. Its methods may be called from everywhere at once.
type Center struct {
	cfg      Config
	store    Store
	blobs    Blobs
	now      func() time.Time
	log      *slog.Logger
	uploads  *places
	begun    unfinished
	decoding *turns        // for each that is decoded
	drawing  chan struct{} // and for each that is drawn: whoever asks has it done, and half of the cores are others'

	tools *ffmpeg.Tools // nil: FFmpeg is not installed, or not asked

	avatars  rate
	faces    Faces // nil: nobody knows who shows what
	composed composed
	releases releases

	reviewing reviewing
	onDeal    func(ctx context.Context, f *File, d *Deal) error // nil: nobody is told

	sweeping sync.Mutex // held while anything is deleted
}

// New opens the file centre. What uploads took that did not end before the last
// process did is given back.
func New(cfg Config, store Store, blobs Blobs, now func() time.Time, log *slog.Logger) (*Center, error) {
	cfg = cfg.withDefaults()
	switch u, err := url.Parse(cfg.Origin); {
	case cfg.Data == "":
		return nil, errors.New("filectr: no data directory was given")
	case cfg.Shared != "" && cfg.Node == "":
		return nil, errors.New("filectr: a shared directory is of nodes with names")
	case len(cfg.Key) < 32:
		return nil, errors.New("filectr: the key of links has less than 32 bytes")
	case cfg.Origin != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != ""):
		return nil, fmt.Errorf("filectr: %q is no origin, like https://files.example.com", cfg.Origin)
	}
	c := &Center{cfg: cfg, store: store, blobs: blobs, now: now, log: log, uploads: newPlaces(cfg.Uploads), decoding: newTurns(runtime.GOMAXPROCS(0)), drawing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	c.avatars = rate{burst: 10, every: 6 * time.Second}
	c.reviewing.wake = make(chan struct{}, 1)
	if cfg.FFmpeg != "off" {
		c.tools = ffmpeg.Find()
	}
	drafts := filepath.Join(cfg.Data, draftsDir)
	if err := errors.Join(os.RemoveAll(drafts), os.MkdirAll(drafts, 0o700)); err != nil {
		return nil, fmt.Errorf("filectr: %w", err)
	}
	if err := c.releases.load(context.Background(), store); err != nil {
		return nil, err
	}
	left, err := store.Reservations(context.Background())
	if err != nil {
		return nil, fmt.Errorf("filectr: uploads of the last process: %w", err)
	}
	resumable := map[string]bool{}
	for _, r := range left {
		if r.Node != cfg.Node { // another node's, which is at it
			continue
		}
		if r.Resumable {
			resumable[r.ID] = true
			continue
		}
		if err := store.Release(context.Background(), r.ID); err != nil {
			return nil, fmt.Errorf("filectr: uploads of the last process: %w", err)
		}
	}
	if cfg.Shared != "" {
		return c, c.tidyShared()
	}
	return c, c.resume(resumable)
}

// Ready says whether files can be kept.
func (c *Center) Ready(ctx context.Context) error { return c.blobs.Ready(ctx) }

// Readable fills actors.Files: NOT_FOUND where user may not read one of names, which
// are ids of files, or links to elsewhere, which anybody may name.
func (c *Center) Readable(ctx context.Context, user protocol.UserID, names []string) error {
	for _, name := range names {
		if protocol.IsLink(name) {
			continue
		}
		if !protocol.IsFileID(name) {
			return protocol.NotFound("file %.64q", name)
		}
		at, err := c.store.Standing(ctx, name, user, c.now())
		if err != nil {
			return err
		}
		if !at.May() || !at.State.reads(at.Owner) {
			return protocol.NotFound("file %s", name)
		}
	}
	return nil
}

// Get gives a file as who may read it: where something else stands in its place, that.
// NOT_FOUND: who may not, or not yet.
func (c *Center) Get(ctx context.Context, who *protocol.Identity, id protocol.FileID) (*File, error) {
	f, own, err := c.knows(ctx, who, id)
	if err != nil {
		return nil, err
	}
	return f.seen(own)
}
