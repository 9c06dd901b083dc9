package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// profiles counts those that were written, to tell their files apart.
var profiles atomic.Int64

// profile has a started server write down for a while where its processors' time goes, as
// a file of dir that pprof and the compiler's -pgo read. What it gives waits for that.
func (t *target) profile(ctx context.Context, dir string, d time.Duration) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- t.writeProfile(ctx, dir, d) }()
	return func() error { return <-done }
}

func (t *target) writeProfile(ctx context.Context, dir string, d time.Duration) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", filepath.Join(t.dir, "data", "admin.sock"))
	}}}
	defer client.CloseIdleConnections()
	url := fmt.Sprintf("http://troupe/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("--cpuprofile: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("--cpuprofile: the server says %s", res.Status)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.cpu", profiles.Add(1))))
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, res.Body); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
