package filectr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/review"
	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
)

const reviewSecret = "what only the server and its reviewer know"

// examiner is a service that looks at files, over HTTP. It says what is queued for it, or
// waits until something is.
type examiner struct {
	*httptest.Server
	t     *testing.T
	says  chan string // an answer's body, or a status
	mu    sync.Mutex
	asked []asked
}

type asked struct {
	ID, Type, Owner, URL, Decide string
	Try                          int
	Guest                        bool
	File                         file
}

func openExaminer(t *testing.T) *examiner {
	d := &examiner{t: t, says: make(chan string, 100)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var at int64
		fmt.Sscanf(r.Header.Get(egress.SignatureHeader), "t=%d,", &at)
		if err != nil || r.Method != "POST" || r.Header.Get(egress.SignatureHeader) != egress.Sign(reviewSecret, time.Unix(at, 0), body) {
			t.Errorf("%s with the signature %q, %v", r.Method, r.Header.Get(egress.SignatureHeader), err)
		}
		var a asked
		if err := json.Unmarshal(body, &a); err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		d.asked = append(d.asked, a)
		d.mu.Unlock()
		select {
		case says := <-d.says:
			var status int
			if n, _ := fmt.Sscanf(says, "status %d", &status); n == 1 {
				w.WriteHeader(status)
				return
			}
			io.WriteString(w, says)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *examiner) all() []asked {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// newReviewed is a stage whose pictures and videos are looked at by an examiner.
func newReviewed(t *testing.T, change func(*filectr.Config)) (*stage, *examiner) {
	s, d, _ := newStopped(t, change)
	return s, d
}

// newStopped is newReviewed, and what ends the looking as the end of a process does.
func newStopped(t *testing.T, change func(*filectr.Config)) (*stage, *examiner, func()) {
	d := openExaminer(t)
	s := newStage(t, func(c *filectr.Config) {
		c.Reviews = filectr.Reviews{Kinds: []filectr.Kind{filectr.Image, filectr.Video}, Within: time.Minute}
		if change != nil {
			change(c)
		}
	})
	return s, d, s.review(d)
}

// review has an examiner look at files, until the test or what it gives ends it.
func (s *stage) review(d *examiner) (stop func()) {
	s.UseReviewer(review.New(review.Config{URL: d.URL + "/review", Secret: reviewSecret, Within: time.Minute, Answer: 30 << 20, Egress: egress.Config{}}, time.Now))
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	s.t.Cleanup(stop)
	return stop
}

func (s *stage) info(user, id string) file {
	s.t.Helper()
	r := s.do(user, "GET", "/api/v2/files/"+id+"/info", nil)
	var f file
	if err := json.Unmarshal(r.body, &f); err != nil || r.status != 200 {
		s.t.Fatalf("%s asks what %s is: %d %s", user, id, r.status, r.body)
	}
	return f
}

// until waits until a file is in a state.
func (s *stage) until(user, id, state string) file {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if f := s.info(user, id); f.State == state {
			return f
		} else if time.Now().After(end) {
			s.t.Fatalf("%s is %q, and not %q", id, f.State, state)
		}
	}
}

// reads checks what each user's GET of a file is answered with.
func (s *stage) reads(says, id string, want map[string]int) {
	s.t.Helper()
	for user, status := range want {
		for _, path := range []string{"", "/thumb"} {
			if r := s.do(user, "GET", "/api/v2/files/"+id+path, nil); r.status != status {
				s.t.Errorf("%s: %s reads %q: %d, want %d", says, user, path, r.status, status)
			}
		}
	}
}

func (s *stage) sent(sender string, id string, members ...string) protocol.SessionID {
	room := s.session(append([]string{sender}, members...)...)
	s.say(room, 1, sender, &protocol.Content{Type: protocol.ContentType_IMAGE, File: id})
	return room
}

func TestAPictureIsItsUploadersAloneUntilItIsAllowed(t *testing.T) {
	s, d := newReviewed(t, nil)
	content := pictureOf(t, "png", 400, 300)
	f := s.upload("ann", "cat.png", content)
	if f.State != "pending" || f.Width != 400 || f.Placeholder == "" {
		t.Fatalf("%+v", f)
	}
	if err := s.Readable(t.Context(), "ann", []string{f.ID}); err != nil {
		t.Errorf("ann may not send it: %v", err)
	}
	s.sent("ann", f.ID, "bob")
	s.reads("while it waits", f.ID, map[string]int{"ann": 200, "bob": 404, "cid": 404, "keyread": 404})
	told := s.info("bob", f.ID)
	if told.State != "pending" || told.Kind != "image" || told.Width != 400 || told.Name+told.SHA256+told.Placeholder+told.Mime != "" {
		t.Errorf("bob is told %+v", told)
	}
	if r := s.do("bob", "POST", "/api/v2/files/"+f.ID+"/link", strings.NewReader("{}"), "Content-Type", "application/json"); r.status != 404 {
		t.Errorf("bob gets a link: %d", r.status)
	}
	if err := s.Readable(t.Context(), "bob", []string{f.ID}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("bob forwards it: %v", err)
	}
	own := s.link("ann", f.ID, "")
	d.says <- `{"deal":"allow"}`
	s.until("bob", f.ID, "allowed")
	s.reads("allowed", f.ID, map[string]int{"ann": 200, "bob": 200, "cid": 404, "keyread": 200})
	if r := s.do("", "GET", own, nil); r.status != 200 {
		t.Errorf("by ann's link: %d", r.status)
	}
	all := d.all()
	if len(all) != 1 {
		t.Fatalf("it was asked for %d times", len(all))
	}
	a := all[0]
	if a.ID != "review-"+f.ID || a.Type != "file.review" || a.Owner != "ann" || a.Try != 1 || a.File.ID != f.ID || a.File.Name != "cat.png" || a.Decide != "/api/v2/files/"+f.ID+"/deal" {
		t.Errorf("the service is told %+v", a)
	}
	if r := s.do("", "GET", a.URL, nil); r.status != 200 || !bytes.Equal(r.body, s.get("ann", f.ID).body) {
		t.Errorf("by its link: %d, %d bytes", r.status, len(r.body))
	}
	s.wait(6 * time.Minute)
	if r := s.do("", "GET", a.URL, nil); r.status != 410 {
		t.Errorf("by its link, later: %d", r.status)
	}
}

func TestAnAvatarIsMadeOfAPictureOnlyOnceItIsAllowed(t *testing.T) {
	s, d := newReviewed(t, nil)
	f := s.upload("ann", "me.png", pictureOf(t, "png", 200, 200))
	if _, err := s.UserAvatar(t.Context(), "ann", f.ID); !protocol.Code_BUSY.Is(err) {
		t.Errorf("of one that waits: %v", err)
	}
	d.says <- `{"deal":"allow"}`
	s.until("ann", f.ID, "allowed")
	if _, err := s.UserAvatar(t.Context(), "ann", f.ID); err != nil {
		t.Errorf("of one that is allowed: %v", err)
	}
	if r := s.deal("admin", f.ID, `{"deal":"reject"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if _, err := s.UserAvatar(t.Context(), "ann", f.ID); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("of one that is rejected: %v", err)
	}
}

func TestWhatNobodyIsToLookAtIsReadAtOnce(t *testing.T) {
	s, d := newReviewed(t, nil)
	f := s.upload("ann", "a.txt", []byte("words"))
	if f.State != "" {
		t.Errorf("%+v", f)
	}
	s.say(s.session("ann", "bob"), 1, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: f.ID})
	if r := s.get("bob", f.ID); r.status != 200 || len(d.all()) != 0 {
		t.Errorf("%d, asked %d times", r.status, len(d.all()))
	}
}

func TestARejectedPictureIsNobodysAndItIsWrittenDown(t *testing.T) {
	s, d := newReviewed(t, nil)
	var told []string
	var mu sync.Mutex
	s.OnDeal(func(_ context.Context, f *filectr.File, deal *filectr.Deal) error {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, strings.Join([]string{string(deal.State), deal.By, f.ID, deal.Reason}, " "))
		return nil
	})
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 400, 300))
	s.sent("ann", f.ID, "bob")
	link := s.link("ann", f.ID, "")
	d.says <- `{"deal":"reject","reason":"nudity\u202e \n\u0007 ` + strings.Repeat("x", 300) + `"}`
	got := s.until("bob", f.ID, "rejected")
	if !strings.HasPrefix(got.Reason, "nudity xxx") || len(got.Reason) != 200 {
		t.Errorf("the reason is %q", got.Reason)
	}
	s.reads("rejected", f.ID, map[string]int{"ann": 404, "bob": 404, "keyread": 404, "admin": 404})
	if told := s.info("ann", f.ID); told.State != "rejected" || told.Name != "" {
		t.Errorf("ann is told %+v", told)
	}
	if r := s.do("", "GET", link, nil); r.status != 404 {
		t.Errorf("by ann's link: %d", r.status)
	}
	if err := s.Readable(t.Context(), "ann", []string{f.ID}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("ann sends it again: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || !strings.HasPrefix(told[0], "rejected reviewer "+f.ID+" nudity") {
		t.Errorf("%q", told)
	}
}

func (s *stage) deal(user, id, body string) reply {
	s.t.Helper()
	return s.do(user, "POST", "/api/v2/files/"+id+"/deal", strings.NewReader(body), "Content-Type", "application/json")
}

func TestAHeldPictureWaitsForSomebodyWhoMayDecide(t *testing.T) {
	s, d := newReviewed(t, nil)
	d.says <- "status 202"
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	s.sent("ann", f.ID, "bob")
	var seen struct {
		State, By, URL, Owner string
		File                  file
	}
	for end := time.Now().Add(20 * time.Second); seen.State != "held"; {
		r := s.do("admin", "GET", "/api/v2/files/"+f.ID+"/deal", nil)
		if err := json.Unmarshal(r.body, &seen); err != nil || r.status != 200 || time.Now().After(end) {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if seen.By != "reviewer" || seen.Owner != "ann" || seen.File.Name != "cat.png" {
		t.Errorf("%+v", seen)
	}
	if r := s.do("", "GET", seen.URL, nil); r.status != 200 {
		t.Errorf("an administrator's look at it: %d", r.status)
	}
	if told := s.info("bob", f.ID); told.State != "pending" {
		t.Errorf("bob is told %+v", told)
	}
	for _, user := range []string{"ann", "bob", "keyread", "visitor1"} {
		if r := s.deal(user, f.ID, `{"deal":"allow"}`); r.code() != "DENIED" {
			t.Errorf("%s decides: %d %s", user, r.status, r.body)
		}
		if r := s.do(user, "GET", "/api/v2/files/"+f.ID+"/deal", nil); r.code() != "DENIED" {
			t.Errorf("%s asks who decided: %d %s", user, r.status, r.body)
		}
	}
	for body, want := range map[string]int{`{"deal":"burn"}`: 400, `{}`: 400, `{"deal":"replace"}`: 400, `{"deal":"replace","file":"bm8gcGljdHVyZQ=="}`: 422} {
		if r := s.deal("keymoderate", f.ID, body); r.status != want {
			t.Errorf("%s: %d %s, want %d", body, r.status, r.body, want)
		}
	}
	if r := s.deal("keymoderate", protocol.NewFileID(), `{"deal":"allow"}`); r.status != 404 {
		t.Errorf("no file: %d", r.status)
	}
	if r := s.deal("keymoderate", f.ID, `{"deal":"allow"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.reads("allowed", f.ID, map[string]int{"bob": 200})
	if r := s.deal("admin", f.ID, `{"deal":"reject","reason":"reported"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.reads("rejected after all", f.ID, map[string]int{"ann": 404, "bob": 404})
	text := s.upload("ann", "a.txt", []byte("nobody looked at this"))
	if r := s.deal("admin", text.ID, `{"deal":"reject"}`); r.status != 200 || s.get("ann", text.ID).status != 404 {
		t.Errorf("what nobody had looked at: %d %s", r.status, r.body)
	}
	if n := len(d.all()); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}

func TestAReplacedPictureIsSeenByOthersInItsPlaceAndKeptBesideIt(t *testing.T) {
	s, d := newReviewed(t, nil)
	original := pictureOf(t, "jpeg", 900, 600)
	f := s.upload("ann", "cat.jpg", original)
	s.sent("ann", f.ID, "bob")
	before, _ := s.kept()
	other := pictureOf(t, "png", 60, 40)
	text, _ := json.Marshal(map[string]any{"deal": "replace", "reason": "blurred", "file": other})
	d.says <- string(text)
	told := s.until("bob", f.ID, "replaced")
	if told.ID != f.ID || told.Width != 60 || told.Mime != "image/png" || told.Name != "cat.png" || told.Reason != "blurred" || told.SHA256 == f.SHA256 || len(told.Thumbs) != 0 {
		t.Errorf("bob is told %+v", told)
	}
	first := s.get("bob", f.ID)
	if first.status != 200 || first.header.Get("Content-Type") != "image/png" || !bytes.Equal(first.body, s.get("ann", f.ID).body) {
		t.Errorf("bob reads %d %v", first.status, first.header)
	}
	if r := s.do("", "GET", s.link("bob", f.ID, "small"), nil); !bytes.Equal(r.body, first.body) {
		t.Errorf("by a link: %d", r.status)
	}
	whole := s.do("ann", "GET", "/api/v2/files/"+f.ID+"?original=true", nil)
	if whole.status != 200 || whole.header.Get("Content-Type") != "image/jpeg" || int64(len(whole.body)) != f.Size {
		t.Errorf("ann reads the original: %d, %d bytes", whole.status, len(whole.body))
	}
	for _, user := range []string{"bob", "keyread"} {
		if r := s.do(user, "GET", "/api/v2/files/"+f.ID+"?original=true", nil); !bytes.Equal(r.body, first.body) {
			t.Errorf("%s reads the original: %d", user, r.status)
		}
	}
	if n, drafts := s.kept(); n != before+1 || drafts != 0 {
		t.Errorf("%d contents and %d drafts are kept, were %d", n, drafts, before)
	}
	s.used("ann", sizeOf(t, s, f.ID))
	if r := s.deal("admin", f.ID, `{"deal":"allow"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := s.get("bob", f.ID); int64(len(r.body)) != f.Size {
		t.Errorf("allowed after all: %d, %d bytes", r.status, len(r.body))
	}
	s.used("ann", sizeOf(t, s, f.ID))
	s.wait(2 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.kept(); n != before {
		t.Errorf("%d contents are kept when nothing stands in its place, were %d", n, before)
	}
}

func sizeOf(t *testing.T, s *stage, id string) int64 {
	t.Helper()
	f, err := s.store.File(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

func TestAReplacedPictureThatIsRecalledIsCollectedWithWhatStoodInItsPlace(t *testing.T) {
	s, d := newReviewed(t, nil)
	text, _ := json.Marshal(map[string]any{"deal": "replace", "file": pictureOf(t, "png", 60, 40)})
	d.says <- string(text)
	f := s.upload("ann", "cat.jpg", pictureOf(t, "jpeg", 900, 600))
	room := s.sent("ann", f.ID, "bob")
	s.until("bob", f.ID, "replaced")
	s.recall(room, 2, 1, "ann")
	s.reads("recalled", f.ID, map[string]int{"ann": 404, "bob": 404})
	s.wait(3 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, drafts := s.kept(); n != 0 || drafts != 0 {
		t.Errorf("%d contents and %d drafts are kept", n, drafts)
	}
	s.used("ann", 0)
}

func TestWhileTheServiceCannotSayAPictureWaitsAndIsAskedForAgain(t *testing.T) {
	s, d := newReviewed(t, nil)
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	s.sent("ann", f.ID, "bob")
	for i, says := range []string{"status 500", "no JSON", `{"deal":"perhaps"}`} {
		d.says <- says
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			f, err := s.store.File(t.Context(), f.ID)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%q: %v, %+v", says, err, f.Deal)
			}
			if f.Deal.Tries == i+1 {
				break
			}
		}
		s.reads(says, f.ID, map[string]int{"ann": 200, "bob": 404})
		s.wait(time.Hour)
		s.NudgeReviews()
	}
	d.says <- `{"deal":"allow"}`
	s.until("bob", f.ID, "allowed")
	if n := d.all(); len(n) != 4 || n[3].Try != 4 || n[0].ID != n[3].ID {
		t.Errorf("%+v", n)
	}
}

func TestAPictureThatIsToBeReplacedByNoneIsHeld(t *testing.T) {
	for _, says := range []string{`{"deal":"replace","file":"bm8gcGljdHVyZQ=="}`, `{"deal":"replace"}`} {
		s, d := newReviewed(t, func(c *filectr.Config) { c.Reviews.WhenDown = filectr.Allow })
		d.says <- says
		f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			f, err := s.store.File(t.Context(), f.ID)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%q: %v, %+v", says, err, f.Deal)
			}
			if f.Deal.State == filectr.Held {
				break
			}
			if f.Deal.State != filectr.Pending {
				t.Fatalf("%q: it is %s", says, f.Deal.State)
			}
		}
	}
}

func TestARejectionThatCannotBeWrittenDownLetsNothingPass(t *testing.T) {
	tried := make(chan bool, 10)
	s, d := newReviewed(t, func(c *filectr.Config) { c.Reviews.WhenDown = filectr.Allow })
	s.OnDeal(func(context.Context, *filectr.File, *filectr.Deal) error {
		tried <- true
		return errors.New("the disk is full")
	})
	d.says <- `{"deal":"reject"}`
	d.says <- `{"deal":"reject"}`
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	<-tried
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if f, err := s.store.File(t.Context(), f.ID); err != nil || f.Deal.State != filectr.Pending || time.Now().After(end) {
			t.Fatalf("%v, %+v", err, f.Deal)
		} else if f.Deal.Tries > 0 {
			break
		}
	}
}

// forgetful is a store that cannot write down what was decided of one file.
type forgetful struct {
	filectr.Store
	file protocol.FileID
}

func (f *forgetful) PutDeal(ctx context.Context, id protocol.FileID, d *filectr.Deal, was filectr.State) error {
	if id == f.file {
		return errors.New("the disk is full")
	}
	return f.Store.PutDeal(ctx, id, d, was)
}

func TestAReviewerIsNotAskedOnAndOnWhileNothingCanBeWrittenDown(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Reviews.Kinds = []filectr.Kind{filectr.Document} })
	take := func(c *filectr.Center, text string) *filectr.File {
		t.Helper()
		f, err := c.Take(t.Context(), filectr.Upload{Owner: "ann", Name: "a.txt", Size: int64(len(text))}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := take(s.Center, "first")
	store := &forgetful{s.store, first.ID}
	c, err := filectr.New(s.cfg, store, s.blobs, s.now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	asked := map[protocol.FileID]int{}
	var mu sync.Mutex
	c.UseReviewer(inside(func(r filectr.Review) (filectr.Decision, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.File.ID]++
		return filectr.Decision{State: filectr.Rejected}, nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { c.Run(ctx) })
	defer func() { cancel(); run.Wait() }()
	for i := range 5 {
		f := take(c, fmt.Sprint("next ", i))
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			if f, err := s.store.File(t.Context(), f.ID); err != nil || time.Now().After(end) {
				t.Fatalf("%v, %+v", err, f.Deal)
			} else if f.Deal.State == filectr.Rejected {
				break
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := asked[first.ID]; n > 1+2*5 { // once, and with each look for another's sake
		t.Errorf("it was asked %d times", n)
	}
}

func TestWhatWaitsForAReviewPassesOrWaitsWhereNobodyLooksAtFilesAnyMore(t *testing.T) {
	for says, state := range map[string]string{filectr.Allow: "allowed", filectr.Hold: "pending"} {
		s, _, stop := newStopped(t, nil)
		f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
		stop()
		s.cfg.Reviews.Kinds, s.cfg.Reviews.WhenDown = nil, says
		s.start()
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { s.Run(ctx) })
		s.until("ann", f.ID, state)
		cancel()
		run.Wait()
	}
}

func TestAServiceThatIsDownLetsPicturesPassWhereThatIsSet(t *testing.T) {
	s, d := newReviewed(t, func(c *filectr.Config) { c.Reviews.WhenDown = filectr.Allow })
	d.Close()
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	s.sent("ann", f.ID, "bob")
	s.until("bob", f.ID, "allowed")
}

func TestAServiceThatDoesNotAnswerInTimeCannotSay(t *testing.T) {
	s, _ := newReviewed(t, func(c *filectr.Config) { c.Reviews.WhenDown, c.Reviews.Within = filectr.Allow, 50*time.Millisecond })
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	s.until("ann", f.ID, "allowed")
}

func TestAReviewUnderWayAtTheEndIsTakenUpByTheNextProcess(t *testing.T) {
	s, d, stop := newStopped(t, func(c *filectr.Config) { c.Reviews.WhenDown = filectr.Allow })
	f := s.upload("ann", "cat.png", pictureOf(t, "png", 40, 30))
	for end := time.Now().Add(20 * time.Second); len(d.all()) == 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the service was not asked")
		}
	}
	stop()
	s.start()
	if got := s.info("ann", f.ID); got.State != "pending" {
		t.Errorf("after the end it is %q", got.State)
	}
	s.review(d)
	d.says <- `{"deal":"reject"}`
	d.says <- `{"deal":"reject"}` // the one that was asked before may have taken the first
	s.until("ann", f.ID, "rejected")
}

func TestADecisionThatIsNotWrittenDownIsNotTaken(t *testing.T) {
	s, _ := newReviewed(t, nil)
	s.OnDeal(func(context.Context, *filectr.File, *filectr.Deal) error { return errors.New("the disk is full") })
	f := s.upload("ann", "a.txt", []byte("x"))
	if r := s.deal("admin", f.ID, `{"deal":"reject"}`); r.status != 500 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.get("ann", f.ID); r.status != 200 {
		t.Errorf("%d", r.status)
	}
}

// inside is a reviewer in this process, as bots are.
type inside func(r filectr.Review) (filectr.Decision, error)

func (f inside) Review(_ context.Context, r filectr.Review) (filectr.Decision, error) { return f(r) }

func TestAReviewerInThisProcessReadsTheContentsAndMayPanic(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) {
		c.Reviews = filectr.Reviews{Kinds: []filectr.Kind{filectr.Document}, WhenDown: filectr.Allow}
	})
	s.UseReviewer(inside(func(r filectr.Review) (filectr.Decision, error) {
		b, err := r.Open(t.Context())
		if err != nil {
			return filectr.Decision{}, err
		}
		defer b.Close()
		text, err := io.ReadAll(b)
		switch {
		case string(text) == "bad":
			return filectr.Decision{State: filectr.Rejected}, err
		case string(text) == "panic":
			panic("a bot")
		}
		return filectr.Decision{State: filectr.Allowed}, err
	}))
	bad, good, odd := s.upload("ann", "a.txt", []byte("bad")), s.upload("ann", "b.txt", []byte("good")), s.upload("ann", "c.txt", []byte("panic")) // before Run
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	s.until("ann", bad.ID, "rejected")
	s.until("ann", good.ID, "allowed")
	s.until("ann", odd.ID, "allowed")
}
