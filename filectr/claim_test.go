package filectr_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// walker does one step of what it is about when it is let, or dies in front of one.
type walker struct {
	at, let, dead, over chan struct{}
}

// step is called in front of each step.
func (w *walker) step() {
	w.at <- struct{}{}
	select {
	case <-w.let:
	case <-w.dead:
		runtime.Goexit()
	}
}

func walk(f func()) *walker {
	w := &walker{make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(w.over)
		f()
	}()
	return w
}

// come waits until the next step is to be done; false: there is none.
func (w *walker) come() bool {
	select {
	case <-w.at:
		return true
	case <-w.over:
		return false
	}
}

// next does a step; false: there was none any more.
func (w *walker) next() bool {
	select {
	case w.let <- struct{}{}:
		return w.come()
	case <-w.over:
		return false
	}
}

func (w *walker) finish() {
	for w.next() {
	}
}

// die ends it in front of its next step.
func (w *walker) die() {
	close(w.dead)
	<-w.over
}

// stepped are the store and the contents of a node, each of whose calls is a step.
type stepped struct {
	filectr.Store
	filectr.Blobs
	step func()
}

type steppedStore struct{ stepped }

func (s steppedStore) Claim(ctx context.Context, sums []filectr.Sum, by string, at time.Time) error {
	s.step()
	return s.Store.Claim(ctx, sums, by, at)
}

func (s steppedStore) AddFile(ctx context.Context, f *filectr.File, q filectr.Quota) error {
	s.step()
	return s.Store.AddFile(ctx, f, q)
}

func (s steppedStore) HasContent(ctx context.Context, sum filectr.Sum) (bool, error) {
	s.step()
	return s.Store.HasContent(ctx, sum)
}

func (s steppedStore) Unclaim(ctx context.Context, sum filectr.Sum, before time.Time) error {
	s.step()
	return s.Store.Unclaim(ctx, sum, before)
}

func (s steppedStore) Condemn(ctx context.Context, sum filectr.Sum, before time.Time) (bool, error) {
	s.step()
	return s.Store.Condemn(ctx, sum, before)
}

type steppedBlobs struct{ stepped }

func (s steppedBlobs) Put(ctx context.Context, sum filectr.Sum, path string) error {
	s.step()
	return s.Blobs.Put(ctx, sum, path)
}

func (s steppedBlobs) SetAside(ctx context.Context, sum filectr.Sum) (filectr.Aside, error) {
	s.step()
	return s.Blobs.SetAside(ctx, sum)
}

func (s steppedBlobs) Return(ctx context.Context, a filectr.Aside) error {
	s.step()
	return s.Blobs.Return(ctx, a)
}

func (s steppedBlobs) Drop(ctx context.Context, a filectr.Aside) error {
	s.step()
	return s.Blobs.Drop(ctx, a)
}

// another is a further node's centre, whose steps are w's. The stage is one of its own.
func (s *stage) another(node string, w **walker) *filectr.Center {
	s.t.Helper()
	cfg := s.cfg
	cfg.Data, cfg.Node = s.t.TempDir(), node
	both := stepped{s.store, s.blobs, func() { (*w).step() }}
	c, err := filectr.New(cfg, steppedStore{both}, steppedBlobs{both}, s.now, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// meeting is a node that removes a content as its last file was never sent, and one to which
// the same content is uploaded. Both are in front of their first step.
type meeting struct {
	*stage
	sweep, upload *walker
	file          *filectr.File // of the upload
	err           error
}

var met = bytes.Repeat([]byte("the same "), 100)

func meet(t *testing.T) *meeting {
	shared := t.TempDir()
	m := &meeting{stage: newStage(t, func(c *filectr.Config) { c.Shared, c.Node = shared, "a" })}
	m.stage.upload("bob", "b.txt", met)
	m.wait(25 * time.Hour)
	sweeper, uploader := m.another("b", &m.sweep), m.another("c", &m.upload)
	start := make(chan struct{}) // nobody is at a step before he is known
	m.sweep = walk(func() {
		<-start
		if err := sweeper.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	})
	m.upload = walk(func() {
		<-start
		m.file, m.err = uploader.Take(t.Context(), filectr.Upload{Owner: "ann", Name: "a.txt", Size: int64(len(met))}, bytes.NewReader(met))
	})
	close(start)
	if !m.sweep.come() || !m.upload.come() {
		t.Fatal("there is nothing to be done")
	}
	return m
}

// kept checks that ann's file is what it was, now and after further sweeps, and that nothing is left at last.
func (m *meeting) kept() {
	m.t.Helper()
	if m.err != nil {
		m.t.Fatal(m.err)
	}
	for range 3 {
		if r := m.get("ann", m.file.ID); r.status != 200 || !bytes.Equal(r.body, met) {
			m.t.Fatalf("the file is %d, %d bytes", r.status, len(r.body))
		}
		m.wait(2 * time.Hour)
		m.tidy()
	}
	if contents, _ := m.stage.kept(); contents != 1 {
		m.t.Errorf("there are %d copies", contents)
	}
	m.wait(25 * time.Hour)
	m.nothing()
}

func (m *meeting) tidy() {
	m.t.Helper()
	if err := m.Sweep(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *meeting) nothing() {
	m.t.Helper()
	for range 3 { // what a sweep finds it may only be able to end an hour later
		m.tidy()
		m.wait(2 * time.Hour)
	}
	if contents, _ := m.stage.kept(); contents != 0 {
		m.t.Errorf("%d copies are left", contents)
	}
	if sums, err := m.store.Doubtful(m.t.Context(), m.now(), 10); err != nil || len(sums) != 0 {
		m.t.Errorf("notes are left: %v, %v", sums, err)
	}
}

// orders are all ways to go a steps and b steps, one at a time.
func orders(a, b int) []string {
	if a == 0 && b == 0 {
		return []string{""}
	}
	var all []string
	if a > 0 {
		for _, rest := range orders(a-1, b) {
			all = append(all, "U"+rest)
		}
	}
	if b > 0 {
		for _, rest := range orders(a, b-1) {
			all = append(all, "S"+rest)
		}
	}
	return all
}

func TestAContentThatOneNodeRemovesAndAnotherKeepsIsKept(t *testing.T) {
	for _, order := range orders(3, 4) { // claim, put, add; look, set aside, condemn, drop or return
		t.Run(order, func(t *testing.T) {
			m := meet(t)
			for _, who := range order {
				if who == 'U' {
					m.upload.next()
				} else {
					m.sweep.next()
				}
			}
			m.upload.finish()
			m.sweep.finish()
			m.kept()
		})
	}
}

func TestANodeThatDiesWhileItRemovesAContentTakesNoOthers(t *testing.T) {
	for steps := range 4 {
		for _, before := range []bool{true, false} {
			m := meet(t)
			if before {
				m.upload.finish()
			}
			for range steps {
				m.sweep.next()
			}
			m.sweep.die()
			m.upload.finish()
			m.kept()
		}
	}
}

func TestANodeThatDiesWhileItKeepsAContentLeavesNothing(t *testing.T) {
	for steps := range 3 {
		for _, before := range []bool{true, false} {
			m := meet(t)
			if before {
				m.sweep.finish()
			}
			for range steps {
				m.upload.next()
			}
			m.upload.die()
			m.sweep.finish()
			m.wait(2 * time.Hour)
			m.nothing()
		}
	}
}

func TestWhoStoodStillWhileItsContentWasRemovedIsToldSo(t *testing.T) {
	for steps := 1; steps < 3; steps++ {
		m := meet(t)
		for range steps {
			m.upload.next()
		}
		m.wait(2 * time.Hour)
		m.sweep.finish()
		m.tidy()
		m.upload.finish()
		if !protocol.Code_BUSY.Is(m.err) {
			t.Errorf("after %d steps: %v, want BUSY", steps, m.err)
		}
		m.wait(2 * time.Hour)
		m.nothing()
	}
}

func TestWhoStoodStillWhileItRemovedAContentTakesNoOthers(t *testing.T) {
	for steps := range 4 {
		m := meet(t)
		for range steps {
			m.sweep.next()
		}
		m.wait(2 * time.Hour)
		m.tidy() // another node settles what it left
		m.upload.finish()
		m.sweep.finish()
		m.kept()
	}
}
