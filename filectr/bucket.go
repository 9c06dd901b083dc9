package filectr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
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
}

// Bucket is Blobs in a bucket of an S3-compatible store: PREFIX/ab/cdef… is the
// content whose sum begins with abcdef. Any number of processes may use it.
type Bucket struct {
	client *minio.Client
	s3     S3
}

// leftover is how old a broken-off upload is that is surely nobody's any more.
const leftover = 24 * time.Hour

// NewBucket opens the bucket of s3, and removes uploads to it that broke off long ago.
func NewBucket(ctx context.Context, s3 S3) (*Bucket, error) {
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
	b := &Bucket{client, s3}
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

// Put fills Blobs: an object is there as a whole once the store has said so.
func (b *Bucket) Put(ctx context.Context, sum Sum, path string) error {
	_, err := b.client.FPutObject(ctx, b.s3.Bucket, b.key(sum), path, minio.PutObjectOptions{ContentType: unknown, NumThreads: 2})
	if err != nil {
		return fmt.Errorf("filectr: S3: keep %s: %w", sum, err)
	}
	return nil
}

// Open fills Blobs.
func (b *Bucket) Open(ctx context.Context, sum Sum) (Blob, error) {
	object, err := b.client.GetObject(ctx, b.s3.Bucket, b.key(sum), minio.GetObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("filectr: S3: %w", err)
	}
	info, err := object.Stat()
	if err != nil {
		object.Close()
		if minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
			return nil, ErrNoBlob
		}
		return nil, fmt.Errorf("filectr: S3: %w", err)
	}
	return &objectBlob{object, info.Size}, nil
}

// objectBlob is an object that knows its size.
type objectBlob struct {
	*minio.Object
	size int64
}

func (o *objectBlob) Size() int64 { return o.size }

// Delete fills Blobs.
func (b *Bucket) Delete(ctx context.Context, sum Sum) error {
	if err := b.client.RemoveObject(ctx, b.s3.Bucket, b.key(sum), minio.RemoveObjectOptions{}); err != nil && minio.ToErrorResponse(err).StatusCode != http.StatusNotFound {
		return fmt.Errorf("filectr: S3: %w", err)
	}
	return nil
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
