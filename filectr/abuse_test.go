package filectr_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestRangesAndConditionsAreThoseOfTheFile(t *testing.T) {
	s := newStage(t, nil)
	content := bytes.Repeat([]byte("0123456789"), 1000)
	f := s.upload("ann", "a.txt", content)
	tag := s.get("ann", f.ID).header.Get("ETag")
	many := "bytes=0-0" + strings.Repeat(",2-2", 2000)
	for _, c := range []struct {
		says   string
		header []string
		status int
		body   string // "": not looked at; "all"
	}{
		{"a range", []string{"Range", "bytes=10-14"}, 206, "01234"},
		{"the end", []string{"Range", "bytes=-3"}, 206, "789"},
		{"one behind the end", []string{"Range", "bytes=10000-"}, 416, ""},
		{"one that runs over the end", []string{"Range", "bytes=9998-99999999999"}, 206, "89"},
		{"one of numbers too large", []string{"Range", "bytes=99999999999999999999-"}, 416, ""},
		{"one the wrong way round", []string{"Range", "bytes=5-1"}, 416, ""},
		{"another unit", []string{"Range", "lines=1-2"}, 416, ""},
		{"two thousand", []string{"Range", many}, 200, "all"},
		{"all of it again and again", []string{"Range", "bytes=0-,0-,0-"}, 200, "all"},
		{"the same as before", []string{"If-None-Match", tag}, 304, ""},
		{"another than before", []string{"If-None-Match", `"x"`}, 200, "all"},
		{"a range of the same", []string{"Range", "bytes=0-1", "If-Range", tag}, 206, "01"},
		{"a range of another", []string{"Range", "bytes=0-1", "If-Range", `"x"`}, 200, "all"},
		{"where it is another", []string{"If-Match", `"x"`}, 412, ""},
	} {
		r := s.get("ann", f.ID, c.header...)
		if c.body == "all" {
			c.body = string(content)
		}
		if r.status != c.status || c.body != "" && string(r.body) != c.body {
			t.Errorf("%s: %d, %d bytes, want %d", c.says, r.status, len(r.body), c.status)
		}
		if r.status == 416 && (r.code() != "BAD_REQUEST" || r.header.Get("Content-Type") != "application/problem+json" || r.header.Get("Content-Disposition") != "") {
			t.Errorf("%s: %v %s, want a problem", c.says, r.header, r.body)
		}
		// A stranger learns nothing of it, whatever the condition.
		if r := s.get("bob", f.ID, c.header...); r.status != 404 {
			t.Errorf("%s, by a stranger: %d", c.says, r.status)
		}
	}
	r := s.get("ann", f.ID, "Range", "bytes=0-1,5-6")
	_, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if r.status != 206 || err != nil {
		t.Fatalf("two ranges: %d %v %v", r.status, r.header, err)
	}
	for parts, want := multipart.NewReader(bytes.NewReader(r.body), params["boundary"]), []string{"01", "56"}; len(want) > 0; want = want[1:] {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(p); string(text) != want[0] {
			t.Errorf("a part is %q", text)
		}
	}
	if h := s.do("ann", "HEAD", "/api/v2/files/"+f.ID, nil, "Range", "bytes=0-9"); h.status != 206 || h.header.Get("Content-Length") != "10" || len(h.body) > 0 {
		t.Errorf("HEAD: %d %v", h.status, h.header)
	}
}

func TestNobodyTakesAllPlacesOfUploads(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Uploads = 8 })
	var held []*io.PipeWriter
	begin := func(user string) *io.PipeWriter {
		r, w := io.Pipe()
		go func() {
			req, _ := http.NewRequest("POST", s.http.URL+"/api/v2/files", r)
			req.Header.Set("Authorization", "Bearer "+user)
			req.Header.Set("Content-Type", "multipart/form-data; boundary=B")
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
		if _, err := io.WriteString(w, "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"+strings.Repeat("x", 9000)); err != nil {
			t.Fatal(err)
		}
		held = append(held, w)
		return w
	}
	t.Cleanup(func() {
		for _, w := range held {
			w.CloseWithError(io.ErrUnexpectedEOF)
		}
	})
	busy := func(user string) bool { return s.post(user, "a.txt", []byte("x")).code() == "BUSY" }
	under := func(n int) {
		t.Helper()
		until(t, fmt.Sprint(n, " uploads are under way"), func() bool { _, drafts := s.kept(); return drafts == n })
	}
	begin("ann")
	begin("ann")
	under(2)
	if !busy("ann") || busy("bob") {
		t.Error("one user has a quarter of all places, and others have theirs")
	}
	for i := range 4 {
		begin(fmt.Sprint("visitor ", i))
	}
	under(6)
	if !busy("visitor 9") || busy("bob") {
		t.Error("visitors have half of all places, and people have theirs")
	}
	broken := begin("cid")
	under(7)
	broken.CloseWithError(io.ErrUnexpectedEOF)
	until(t, "its place is given back", func() bool { return s.Uploading() == 6 })
	begin("cid")
	begin("cid")
	under(8)
	if !busy("bob") {
		t.Error("there are more places than there are")
	}
}

func TestWhoEndsManyUploadsAtOnceKeepsToAShareOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := filectr.NewPlaces(8)
		ends := make(chan func(), 20)
		for range 20 {
			go func() {
				if leave, err := p.Wait(t.Context(), "ann"); err == nil {
					ends <- leave
				}
			}()
		}
		synctest.Wait()
		if n := len(ends); n != 2 {
			t.Errorf("one user has %d of 8 places", n)
		}
		var others []func()
		for _, user := range []string{"bob", "bob", "cid", "cid", "dan", "dan"} {
			leave, err := p.Take(user)
			if err != nil {
				t.Fatalf("%s: %v", user, err)
			}
			others = append(others, leave)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := p.Wait(ctx, "eva")
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; err == nil {
			t.Error("there are more places than there are")
		}
		for _, leave := range others {
			leave()
		}
		for range 20 {
			(<-ends)()
		}
		synctest.Wait()
		for range 2 {
			for _, user := range []string{"ann", "bob", "cid", "eva"} {
				if _, err := p.Take(user); err != nil {
					t.Errorf("when all have left, %s: %v", user, err)
				}
			}
		}
	})
}

func TestABodyThatDripsIsCutOff(t *testing.T) {
	clock := time.Now()
	now := func() time.Time { return clock }
	body := filectr.InTime(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 1<<20))), now)
	n := 0
	for b := make([]byte, 10); ; n++ {
		if _, err := body.Read(b); err != nil {
			if !protocol.Code_BUSY.Is(err) {
				t.Errorf("%v, want BUSY", err)
			}
			break
		}
		clock = clock.Add(29 * time.Second)
	}
	if n > 2 {
		t.Errorf("%d bytes in %d s were taken", n, n*29)
	}
	body = filectr.InTime(strings.NewReader(strings.Repeat("x", 10<<20)), now)
	for b := make([]byte, 64<<10); ; clock = clock.Add(3 * time.Second) { // a little faster than has to be
		if _, err := body.Read(b); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAnUploadInPartsSaysHarmsNobody(t *testing.T) {
	s := newStage(t, nil)
	b64 := base64.StdEncoding.EncodeToString
	post := func(header ...string) reply { return s.tus("ann", "POST", tus, nil, header...) }
	for _, c := range []struct {
		says   string
		header []string
		status int
	}{
		{"no length", nil, 400},
		{"a negative length", []string{"Upload-Length", "-1"}, 400},
		{"a length that is too large for a number", []string{"Upload-Length", "99999999999999999999"}, 400},
		{"more than any file may have", []string{"Upload-Length", "9000000000000000000"}, 413},
		{"a length that comes later", []string{"Upload-Defer-Length", "1"}, 501},
		{"a long name", []string{"Upload-Length", "1", "Upload-Metadata", "filename " + b64(bytes.Repeat([]byte("x"), 1025))}, 400},
		{"a sum that is none", []string{"Upload-Length", "1", "Upload-Metadata", "sha256 " + b64([]byte("../../x"))}, 400},
		{"parts put together", []string{"Upload-Concat", "final;/a /b"}, 400},
		{"no base64", []string{"Upload-Length", "1", "Upload-Metadata", "filename !!!,,, ,x y z"}, 201},
	} {
		if r := post(c.header...); r.status != c.status || r.status == 501 && r.code() == "BUSY" {
			t.Errorf("%s: %d %s, want %d", c.says, r.status, r.body, c.status)
		}
	}
	path := s.begin("ann", "../x\r\nSet-Cookie: a=b\x00\u202egpj.exe", 1)
	r := s.tus("ann", "HEAD", path, nil)
	if r.status != 200 || r.header.Get("Set-Cookie") != "" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
	if r := s.part("ann", path, 0, []byte("x")); r.status != 204 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	g := s.get("ann", strings.TrimPrefix(path, tus))
	if d := g.header.Get("Content-Disposition"); g.status != 200 || d != `attachment; filename="xSet-Cookie_ a=bgpj.exe"` || g.header.Get("Set-Cookie") != "" {
		t.Errorf("%d %q", g.status, d)
	}
	for _, id := range []string{"..%2fsecrets.json", "..", "%2e%2e%2f", protocol.NewFileID() + ".json", "%00"} {
		for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
			if r := s.tus("ann", method, tus+id, nil, "Upload-Offset", "0"); r.status != 404 && r.status != 405 {
				t.Errorf("%s %s: %d", method, id, r.status)
			}
		}
	}
	path = s.begin("ann", "a.txt", 10)
	for says, offset := range map[string]string{"in front": "-1", "far behind": "9", "no number": "x", "too large a number": "99999999999999999999"} {
		if r := s.tus("ann", "PATCH", path, []byte("xx"), "Upload-Offset", offset); r.status != 400 && r.status != 409 {
			t.Errorf("a part that begins %s: %d %s", says, r.status, r.body)
		}
	}
	if r := s.part("ann", path, 0, []byte("more than was announced")); r.status != 400 && r.status != 413 && r.status != 204 || s.offset("ann", path) > 10 {
		t.Errorf("more bytes than were announced: %d %s", r.status, r.body)
	}
}

func TestUploadsThatNobodyEndsAreBounded(t *testing.T) {
	s := newStage(t, nil)
	var last string
	for range 100 {
		last = s.begin("ann", "a.txt", 1)
	}
	more := func() reply { return s.tus("ann", "POST", tus, nil, "Upload-Length", "1") }
	if r := more(); r.status != 503 || r.code() != "BUSY" {
		t.Errorf("one more: %d %s", r.status, r.body)
	}
	s.begin("bob", "b.txt", 1)
	s.start() // another process knows of them
	if r := more(); r.code() != "BUSY" {
		t.Errorf("after a restart: %d %s", r.status, r.body)
	}
	if r := s.part("ann", last, 0, []byte("x")); r.status != 204 {
		t.Errorf("going on: %d %s", r.status, r.body)
	}
	if r := more(); r.status != 201 {
		t.Errorf("when one has ended: %d %s", r.status, r.body)
	}
}

func TestPicturesThatMoveTooMuchAreRefused(t *testing.T) {
	s := newStage(t, nil)
	small := pictureOf(t, "png", 40, 30)
	idat := bytes.Index(small, []byte("IDAT")) - 4
	control := pngChunk("fcTL", append(binary.BigEndian.AppendUint32(make([]byte, 4), 1), make([]byte, 18)...))
	moving := func(says uint32, frames int) []byte {
		b := append(bytes.Clone(small[:idat]), pngChunk("acTL", binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, says), 0))...)
		b = append(b, bytes.Repeat(control, frames)...)
		return append(b, small[idat:]...)
	}
	for says, in := range map[string][]byte{
		"APNG that says a million": moving(1_000_000, 1), "APNG that says one": moving(1, 1000),
		"GIF of 201": frames(201),
	} {
		if r := s.post("ann", "a", in); r.status != 413 {
			t.Errorf("%s: %d %s", says, r.status, r.body)
		}
	}
	polyglot := append([]byte("GIF89a/*\x00\x00\x00\x00"), "*/=1;alert(document.domain)"...)
	if r := s.post("ann", "a.gif", polyglot); r.status != 422 {
		t.Errorf("a script that begins as a GIF: %d %s", r.status, r.body)
	}
}
