package filectr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/troupe-im/troupe/internal/protocol"
)

// S3 says where contents are kept instead of in a directory. Without an Endpoint
// there is none.
type S3 struct {
	Endpoint string // like https://s3.example.com
	Bucket   string // has to be there
	Region   string // "": the server's own
	Access   string // the access key's id
	Secret   string
	Prefix   string // in front of all names, for a bucket that others use too

	Within time.Duration // for an answer's begin, besides a second for each MiB that is kept; 0: 30 s
}

// Bucket is Blobs in a bucket of an S3-compatible store: PREFIX/ab/cdef… is the
// content whose sum begins with abcdef. Any number of processes may use it.
type Bucket struct {
	client *minio.Client
	s3     S3
	log    *slog.Logger
}

// leftover is how old a broken-off upload is that is surely nobody's any more.
const leftover = 24 * time.Hour

// NewBucket opens the bucket of s3, and removes uploads to it that broke off long ago. While
// the bucket is away later, what is kept or read is BUSY.
func NewBucket(ctx context.Context, s3 S3, log *slog.Logger) (*Bucket, error) {
	u, err := url.Parse(s3.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("filectr: %q is no S3 endpoint, like https://s3.example.com", s3.Endpoint)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(s3.Access, s3.Secret, ""), Secure: u.Scheme == "https", Region: s3.Region,
	})
	if err != nil {
		return nil, fmt.Errorf("filectr: S3: %w", err)
	}
	if s3.Within == 0 {
		s3.Within = 30 * time.Second
	}
	b := &Bucket{client, s3, log}
	if err := b.Ready(ctx); err != nil {
		return nil, err
	}
	for left := range client.ListIncompleteUploads(ctx, s3.Bucket, s3.Prefix, true) {
		err := left.Err
		if err == nil && time.Since(left.Initiated) > leftover {
			err = client.RemoveIncompleteUpload(ctx, s3.Bucket, left.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("filectr: S3: broken-off uploads: %w", err)
		}
	}
	return b, nil
}

func (b *Bucket) key(sum Sum) string {
	name := sum.String()
	return path.Join(b.s3.Prefix, name[:2], name[2:])
}

// failed is err as it is told: BUSY where the store could not be asked, or has no answer
// now; who asked may have gone, and what the store refused is another matter.
func (b *Bucket) failed(asked context.Context, what string, err error) error {
	switch status := minio.ToErrorResponse(err).StatusCode; {
	case asked.Err() != nil, status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return fmt.Errorf("filectr: S3: %s: %w", what, err)
	}
	b.log.Error("the bucket cannot be reached", "bucket", b.s3.Bucket, "for", what, "err", err)
	coded := &protocol.Error{Code: protocol.Code_BUSY, Detail: "where files are kept cannot be reached now", RetryAfterMs: 1000}
	return fmt.Errorf("filectr: S3: %s: %w (%w)", what, coded, err)
}

// Put fills Blobs: an object is there as a whole once the store has said so.
func (b *Bucket) Put(ctx context.Context, sum Sum, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("filectr: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, b.s3.Within+time.Duration(info.Size()>>20)*time.Second)
	defer cancel()
	_, err = b.client.FPutObject(within, b.s3.Bucket, b.key(sum), path, minio.PutObjectOptions{ContentType: unknown, NumThreads: 2})
	if err != nil {
		return b.failed(ctx, "keep "+sum.String(), err)
	}
	return nil
}

// Open fills Blobs.
func (b *Bucket) Open(ctx context.Context, sum Sum) (Blob, error) {
	for range 3 { // one that is being returned may be missed in both places
		if blob, err := b.open(ctx, b.key(sum)); err != ErrNoBlob {
			return blob, err
		}
		copies, err := b.list(ctx, b.asideKey(sum.String()+"."), time.Now().Add(time.Hour))
		if err != nil {
			return nil, err
		}
		for _, a := range copies {
			if blob, err := b.open(ctx, b.asideOf(a)); err != ErrNoBlob {
				return blob, err
			}
		}
		if len(copies) == 0 {
			break
		}
	}
	return b.open(ctx, b.key(sum))
}

func (b *Bucket) open(ctx context.Context, key string) (Blob, error) {
	reading, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(b.s3.Within, cancel)
	object, err := b.client.GetObject(reading, b.s3.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		cancel()
		return nil, b.failed(ctx, "read "+key, err)
	}
	info, err := object.Stat()
	if late.Stop(); err != nil {
		object.Close()
		cancel()
		if noObject(err) {
			return nil, ErrNoBlob
		}
		return nil, b.failed(ctx, "read "+key, err)
	}
	return &objectBlob{object, info.Size, cancel}, nil
}

func noObject(err error) bool { return minio.ToErrorResponse(err).StatusCode == http.StatusNotFound }

// objectBlob is an object that knows its size.
type objectBlob struct {
	*minio.Object
	size   int64
	cancel func()
}

// Close ends what is on its way, too.
func (o *objectBlob) Close() error {
	defer o.cancel()
	return o.Object.Close()
}

func (o *objectBlob) Size() int64 { return o.size }

// asideKey is the name of copies that were set aside: PREFIX/aside/SUM.NAME.
func (b *Bucket) asideKey(name string) string {
	return path.Join(b.s3.Prefix, "aside") + "/" + name
}

func (b *Bucket) asideOf(a Aside) string { return b.asideKey(a.Sum.String() + "." + a.Name) }

// copy has the store copy an object. ErrNoBlob: there is none.
func (b *Bucket) copy(ctx context.Context, from, to string) error {
	_, err := b.client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.s3.Bucket, Object: to}, minio.CopySrcOptions{Bucket: b.s3.Bucket, Object: from})
	switch {
	case err == nil:
		return nil
	case noObject(err):
		return ErrNoBlob
	}
	return fmt.Errorf("filectr: S3: %w", err)
}

func (b *Bucket) remove(ctx context.Context, key string) error {
	if err := b.client.RemoveObject(ctx, b.s3.Bucket, key, minio.RemoveObjectOptions{}); err != nil && !noObject(err) {
		return fmt.Errorf("filectr: S3: %w", err)
	}
	return nil
}

// SetAside fills Blobs. An answer that is lost leaves a copy aside, and it is not known then
// whether the removal is still to come: that is why copies are settled an hour later.
func (b *Bucket) SetAside(ctx context.Context, sum Sum) (Aside, error) {
	a := newAside(sum)
	if err := b.copy(ctx, b.key(sum), b.asideOf(a)); err != nil {
		return a, err
	}
	return a, b.remove(ctx, b.key(sum))
}

// Return fills Blobs.
func (b *Bucket) Return(ctx context.Context, a Aside) error {
	err := b.copy(ctx, b.asideOf(a), b.key(a.Sum))
	if err == ErrNoBlob {
		return nil
	}
	if err != nil {
		return err
	}
	return b.Drop(ctx, a)
}

// Drop fills Blobs.
func (b *Bucket) Drop(ctx context.Context, a Aside) error { return b.remove(ctx, b.asideOf(a)) }

// Asides fills Blobs.
func (b *Bucket) Asides(ctx context.Context, before time.Time) ([]Aside, error) {
	return b.list(ctx, b.asideKey(""), before)
}

func (b *Bucket) list(ctx context.Context, prefix string, before time.Time) (all []Aside, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the listing
	defer cancel()
	for object := range b.client.ListObjects(ctx, b.s3.Bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if object.Err != nil {
			return nil, b.failed(ctx, "list", object.Err)
		}
		if a, ok := parseAside(path.Base(object.Key), before); ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// Ready fills Blobs.
func (b *Bucket) Ready(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.s3.Bucket)
	if err == nil && !there {
		err = errors.New("it is not there")
	}
	if err != nil {
		return fmt.Errorf("filectr: S3 bucket %s: %w", b.s3.Bucket, err)
	}
	return nil
}
