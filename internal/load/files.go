package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Files are a run's figures of uploads and downloads. Rates are per second.
type Files struct {
	SmallUploads   float64 `json:"smallUploads"` // of 100 KB, 16 at once
	SmallDownloads float64 `json:"smallDownloads"`
	Large          int     `json:"large,omitempty"` // files of 100 MB, uploaded all at once
	LargeUploads   float64 `json:"largeUploads,omitempty"`
	LargeDownloads float64 `json:"largeDownloads,omitempty"` // four at once
	Before         int64   `json:"pssBefore"`                // the server's memory in bytes
	LargestUp      int64   `json:"pssLargestUp,omitempty"`   // the most of it meanwhile
	LargestDown    int64   `json:"pssLargestDown,omitempty"`
	Picture        float64 `json:"pictureMs"` // until a picture of 12 megapixels is kept, median of five
}

const (
	smallFile, smallAtOnce = 100_000, 16
	largeFile, largeReads  = 100_000_000, 4
)

// filling is what files are made of: no two have the same first bytes, so that each is
// kept for itself.
var filling = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// content is a file's bytes, made as they are read.
func content(n, size int64) io.Reader {
	head := binary.LittleEndian.AppendUint64([]byte("load\x00\x01\x02\x03"), uint64(n))
	return io.LimitReader(io.MultiReader(bytes.NewReader(head), endless{}), size)
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, filling()), nil }

// fileClient speaks to one server as user after user.
type fileClient struct {
	t    *target
	w    *troupeWire
	http *http.Client
	made atomic.Int64

	mu     sync.Mutex
	tokens map[int]string
}

func (c *fileClient) token(user int) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens[user] == "" {
		text, err := c.w.mint(user)
		if err != nil {
			return "", err
		}
		c.tokens[user] = text
	}
	return c.tokens[user], nil
}

func (c *fileClient) do(ctx context.Context, user int, method, path string, body io.Reader, size int64, status int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.t.addr+path, body)
	if err != nil {
		return nil, err
	}
	token, err := c.token(user)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.ContentLength = size
		req.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != status {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s %s", method, path, res.Status, text)
	}
	return res, nil
}

// upload gives the id of a file that user uploads.
func (c *fileClient) upload(ctx context.Context, user int, name string, r io.Reader, size int64) (string, error) {
	head := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\n\r\n"
	const tail = "\r\n--B--\r\n"
	body := io.MultiReader(bytes.NewReader([]byte(head)), r, bytes.NewReader([]byte(tail)))
	res, err := c.do(ctx, user, http.MethodPost, "/api/v2/files", body, size+int64(len(head)+len(tail)), http.StatusCreated)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var f struct {
		ID   string
		Size int64
	}
	if err := json.NewDecoder(res.Body).Decode(&f); err != nil {
		return "", err
	}
	if f.Size != size && name != "picture.jpg" {
		return "", fmt.Errorf("of %d bytes %d were kept", size, f.Size)
	}
	return f.ID, nil
}

func (c *fileClient) download(ctx context.Context, user int, id string, size int64) error {
	res, err := c.do(ctx, user, http.MethodGet, "/api/v2/files/"+id, nil, 0, http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != size {
		return errors.Join(err, fmt.Errorf("of %d bytes %d came", size, n))
	}
	return nil
}

// files measures uploads and downloads, the server's memory meanwhile, and a picture.
func files(ctx context.Context, o *options, t *target, w *troupeWire) (*Result, error) {
	begin := time.Now()
	c := &fileClient{t: t, w: w, tokens: map[int]string{}, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: smallAtOnce, WriteBufferSize: 64 << 10}}}
	defer c.http.CloseIdleConnections()
	large, err := roomForLarge(o, t)
	if err != nil {
		return nil, err
	}
	f := &Files{Large: large}
	var mu sync.Mutex
	var ids []string
	if f.SmallUploads, err = rate(ctx, o.warmup, o.duration, smallAtOnce, func(who int) error {
		id, err := c.upload(ctx, who, "a.bin", content(c.made.Add(1), smallFile), smallFile)
		mu.Lock()
		defer mu.Unlock()
		if who == 0 && len(ids) < 200 {
			ids = append(ids, id)
		}
		return err
	}); err != nil {
		return nil, err
	}
	var next atomic.Int64
	if f.SmallDownloads, err = rate(ctx, o.warmup, o.duration, smallAtOnce, func(int) error {
		return c.download(ctx, 0, ids[int(next.Add(1))%len(ids)], smallFile)
	}); err != nil {
		return nil, err
	}
	if f.Picture, err = c.picture(ctx); err != nil {
		return nil, err
	}
	f.Before = t.pss()
	if large > 0 {
		if err := c.large(ctx, f); err != nil {
			return nil, err
		}
	}
	return &Result{Seconds: time.Since(begin).Seconds(), PSS: t.pss(), Files: f}, nil
}

// roomForLarge is how many files of 100 MB there is room for twice over, at most as
// many as were asked for: a started server has its data where o.data says.
func roomForLarge(o *options, t *target) (int, error) {
	if t.dir == "" {
		return o.large, nil
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(t.dir, &s); err != nil {
		return 0, err
	}
	return min(o.large, int(s.Bavail*uint64(s.Bsize)/2/largeFile)), nil
}

// rate has workers call f again and again, and gives how often a second it returned.
func rate(ctx context.Context, warmup, duration time.Duration, workers int, f func(who int) error) (float64, error) {
	var done atomic.Int64
	begin := time.Now()
	from, to := begin.Add(warmup), begin.Add(warmup+duration)
	err := each(ctx, workers, workers, func(who int) error {
		for ctx.Err() == nil {
			if err := f(who); err != nil {
				return err
			}
			switch now := time.Now(); {
			case now.After(to):
				return nil
			case now.After(from):
				done.Add(1)
			}
		}
		return ctx.Err()
	})
	return float64(done.Load()) / duration.Seconds(), err
}

// large uploads all large files at once, each by another user, and reads them again.
func (c *fileClient) large(ctx context.Context, f *Files) error {
	ids := make([]string, f.Large)
	took, most, err := c.watch(func() error {
		return each(ctx, f.Large, f.Large, func(i int) (err error) {
			ids[i], err = c.upload(ctx, 100+i, "a.bin", content(c.made.Add(1), largeFile), largeFile)
			return err
		})
	})
	if err != nil {
		return err
	}
	f.LargeUploads, f.LargestUp = float64(f.Large)/took.Seconds(), most
	took, most, err = c.watch(func() error {
		return each(ctx, f.Large, largeReads, func(i int) error { return c.download(ctx, 100+i, ids[i], largeFile) })
	})
	if err != nil {
		return err
	}
	f.LargeDownloads, f.LargestDown = float64(f.Large)/took.Seconds(), most
	return nil
}

// watch says how long f takes, and the most memory that the server has meanwhile.
func (c *fileClient) watch(f func() error) (took time.Duration, most int64, err error) {
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, c.t.pss())
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	}()
	begin := time.Now()
	err = f()
	took = time.Since(begin)
	close(over)
	<-watched
	return took, most, err
}

// picture is how many milliseconds a picture of 12 megapixels takes until it is kept,
// with its smaller ones: the median of five.
func (c *fileClient) picture(ctx context.Context) (float64, error) {
	m := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for y := range 3000 {
		for x := range 4000 {
			m.Y[y*m.YStride+x] = byte(x*y>>12) ^ filling()[(y*4000+x)%(1<<20)]&15 // as grainy as a photograph
		}
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = byte(i>>11), byte(i>>7)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		return 0, err
	}
	took := make([]float64, 5)
	for i := range took {
		begin := time.Now()
		if _, err := c.upload(ctx, 0, "picture.jpg", bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
			return 0, err
		}
		took[i] = float64(time.Since(begin).Microseconds()) / 1000
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
