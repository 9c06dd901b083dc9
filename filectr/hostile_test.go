package filectr_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

func pictureOf(t *testing.T, format string, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = byte(i/7) | byte(i%4/3*255)
	}
	var b bytes.Buffer
	var err error
	switch format {
	case "jpeg":
		err = jpeg.Encode(&b, m, nil)
	case "png":
		err = png.Encode(&b, m)
	case "gif":
		p := image.NewPaletted(m.Bounds(), color.Palette{color.Black, color.White})
		err = gif.Encode(&b, p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngChunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// frames is a GIF of so many frames of one pixel.
func frames(n int) []byte {
	b := []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff")
	for range n {
		b = append(b, "\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"...)
	}
	return append(b, 0x3b)
}

// script is what must run nowhere.
const script = "<script>alert(document.domain)</script>"

func TestHostileFilesHarmNobody(t *testing.T) {
	s := newStage(t, nil)
	small := pictureOf(t, "jpeg", 40, 30)
	giant := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", []byte{0, 1, 0, 0, 0, 1, 0, 0, 8, 2, 0, 0, 0})...)
	giant = append(append(giant, pngChunk("IDAT", []byte("x\x9c\x03\x00\x00\x00\x00\x01"))...), pngChunk("IEND", nil)...)
	comment := append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, byte(2 + len(script))}, append([]byte(script), small[2:]...)...)
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + script + `</svg>`)
	cut := pictureOf(t, "png", 40, 30)
	for _, c := range []struct {
		says, name string
		content    []byte
		status     int
		mime       string // of what is kept; "": it is refused
		inline     bool
		lacks      string
	}{
		{"a picture", "a.jpg", small, 201, "image/jpeg", true, ""},
		{"a picture with another picture's name", "a.png", small, 201, "image/jpeg", true, ""},
		{"a picture without an extension", "photo", small, 201, "image/jpeg", true, ""},
		{"a script in a picture's comment", "a.jpg", comment, 201, "image/jpeg", true, script},
		{"the same, called a page", "a.html", comment, 201, "application/octet-stream", false, script},
		{"a page behind a picture", "a.jpg", append(bytes.Clone(small), script...), 201, "image/jpeg", true, script},
		{"an archive behind a picture", "a.gif", append(pictureOf(t, "gif", 4, 4), "PK\x03\x04 archive"...), 201, "image/gif", true, "PK\x03\x04"},
		{"a page called a picture", "a.jpg", []byte("<!DOCTYPE html>" + script), 201, "application/octet-stream", false, ""},
		{"a page that begins late", "a.png", []byte(strings.Repeat(" ", 900) + script), 201, "application/octet-stream", false, ""},
		{"a page in UTF-16", "a.txt", []byte("\xff\xfe<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00"), 201, "application/octet-stream", false, ""},
		{"a page", "a.html", []byte("<html>" + script), 201, "text/html", false, ""},
		{"a page without a name", "", []byte("<html>" + script), 201, "application/octet-stream", false, ""},
		{"SVG", "a.svg", svg, 201, "image/svg+xml", false, ""},
		{"SVG called a PNG", "a.png", svg, 201, "application/octet-stream", false, ""},
		{"XML", "a.xml", []byte("<?xml version=\"1.0\"?><x/>"), 201, "text/xml", false, ""},
		{"XHTML", "a.xhtml", []byte("<?xml version=\"1.0\"?><x/>"), 201, "application/xhtml+xml", false, ""},
		{"PDF", "a.pdf", []byte("%PDF-1.7 " + script), 201, "application/pdf", false, ""},
		{"PDF called a picture", "a.jpg", []byte("%PDF-1.7"), 201, "application/pdf", false, ""},
		{"a double extension", "a.jpg.exe", small, 201, "application/octet-stream", false, ""},
		{"a program called a picture", "a.jpg", []byte("MZ\x90\x00"), 201, "application/vnd.microsoft.portable-executable", false, ""},
		{"script in text", "a.js", []byte("alert(1)"), 201, "text/plain", false, ""},
		{"a document", "a.docx", []byte("PK\x03\x04"), 201, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false, ""},
		{"an archive called a voice", "a.mp3", []byte("PK\x03\x04"), 201, "application/zip", false, ""},
		{"64k × 64k pixels", "a.png", giant, 413, "", false, ""},
		{"the same without a name", "", giant, 413, "", false, ""},
		{"100,000 frames", "a.gif", frames(100_000), 413, "", false, ""},
		{"a cut picture", "a.png", cut[:len(cut)/2], 422, "", false, ""},
		{"a picture's begin", "a.jpg", small[:4], 422, "", false, ""},
		{"a cut picture called a text", "a.txt", cut[:len(cut)/2], 201, "application/octet-stream", false, ""},
		{"HEIC", "a.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), 422, "", false, ""},
		{"HEIC called JPEG", "a.jpg", []byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic"), 422, "", false, ""},
	} {
		r := s.post("ann", c.name, c.content)
		if r.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.says, r.status, r.body, c.status)
			continue
		}
		if c.mime == "" {
			continue
		}
		var f file
		if err := json.Unmarshal(r.body, &f); err != nil {
			t.Fatal(err)
		}
		g := s.get("ann", f.ID)
		if f.Mime != c.mime || g.header.Get("Content-Type") != c.mime {
			t.Errorf("%s is %q, given as %q, want %q", c.says, f.Mime, g.header.Get("Content-Type"), c.mime)
		}
		if inline := strings.HasPrefix(g.header.Get("Content-Disposition"), "inline"); inline != c.inline {
			t.Errorf("%s: %s", c.says, g.header.Get("Content-Disposition"))
		}
		if g.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(g.header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", c.says, g.header)
		}
		if c.lacks != "" && bytes.Contains(g.body, []byte(c.lacks)) {
			t.Errorf("%s still has %q", c.says, c.lacks)
		}
	}
	if _, drafts := s.kept(); drafts != 0 {
		t.Errorf("%d drafts are left", drafts)
	}
}

func TestHostileNamesAreCleaned(t *testing.T) {
	s := newStage(t, nil)
	for name, want := range map[string]string{
		"../../etc/passwd.txt":            "passwd.txt",
		`C:\Users\ann\report.txt`:         "report.txt",
		"a\u202egnp.txt":                  "agnp.txt",
		"a\u2066\u2069\u200e.txt":         "a.txt",
		".htaccess":                       "htaccess",
		"a.txt. . ":                       "a.txt",
		"con.txt":                         "_con.txt",
		"a<b>:|?*.txt":                    "a_b_____.txt",
		"张三 résumé.txt":                   "张三 résumé.txt",
		"e\u0301.txt":                     "é.txt",
		"..":                              "document",
		"a;filename=b.txt":                "a_filename=b.txt",
		`my %22best%22%0D%0A a.txt`:       "my _best_ a.txt", // as browsers say it
		strings.Repeat("长", 200) + ".txt": strings.Repeat("长", 65) + ".txt",
	} {
		f := s.upload("ann", name, []byte("x"))
		if f.Name != want {
			t.Errorf("%q is called %q, want %q", name, f.Name, want)
		}
		g := s.get("ann", f.ID)
		if d := g.header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; filename") {
			t.Errorf("%q: %s", name, d)
		}
	}
	// What no form can say as it is, comes percent-encoded.
	body := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%00.txt\r\n\r\nx\r\n--B--\r\n"
	r := s.do("ann", "POST", "/api/v2/files", strings.NewReader(body), "Content-Type", "multipart/form-data; boundary=B")
	var f file
	if err := json.Unmarshal(r.body, &f); err != nil || f.Name != "aSet-Cookie_ x.txt" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if g := s.get("ann", f.ID); g.header.Get("Set-Cookie") != "" {
		t.Errorf("%v", g.header)
	}
}

func TestForeignIDsAreNotFound(t *testing.T) {
	s := newStage(t, nil)
	s.upload("ann", "a.txt", []byte("x"))
	for _, id := range []string{protocol.NewFileID(), "f_", "..%2f..%2fsecrets.json", "%00", strings.Repeat("a", 64), "f_AAAAAAAAAAAAAAAAAAAAAAAAAA", "u_aaaaaaaaaaaaaaaa"} {
		for _, path := range []string{"", "/info", "/thumb"} {
			if r := s.do("ann", "GET", "/api/v2/files/"+id+path, nil); r.status != 404 {
				t.Errorf("%s%s: %d", id, path, r.status)
			}
		}
	}
}

func TestAPictureHasItsSizeAndSmallerOnes(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "photo.jpg", pictureOf(t, "jpeg", 1600, 1000))
	if f.Kind != "image" || f.Width != 1600 || f.Height != 1000 || f.Placeholder == "" || len(f.Thumbs) != 2 {
		t.Fatalf("%+v", f)
	}
	for _, c := range []struct {
		size string
		w, h int
	}{{"small", 320, 200}, {"large", 1280, 800}} {
		r := s.do("ann", "GET", "/api/v2/files/"+f.ID+"/thumb?size="+c.size, nil)
		m, _, err := image.DecodeConfig(bytes.NewReader(r.body))
		if err != nil || m.Width != c.w || m.Height != c.h || r.header.Get("Content-Disposition") != "inline; filename=photo.jpg" {
			t.Errorf("%s: %d, %+v, %v, %v", c.size, r.status, m, err, r.header)
		}
		if l := s.do("", "GET", s.link("ann", f.ID, c.size), nil); !bytes.Equal(l.body, r.body) {
			t.Errorf("%s by a link: %d", c.size, l.status)
		}
	}
	tiny := s.upload("ann", "tiny.png", pictureOf(t, "png", 30, 20))
	if whole, thumb := s.get("ann", tiny.ID), s.do("ann", "GET", "/api/v2/files/"+tiny.ID+"/thumb", nil); len(tiny.Thumbs) != 0 || !bytes.Equal(whole.body, thumb.body) {
		t.Errorf("a tiny picture's smaller one is another: %+v", tiny)
	}
	if r := s.do("ann", "GET", "/api/v2/files/"+f.ID+"/thumb?size=huge", nil); r.status != 400 {
		t.Errorf("an unknown size: %d", r.status)
	}
}

func FuzzNamesAndTypes(f *testing.F) {
	f.Add("a.txt", []byte("x"))
	f.Add("../\u202e.html", []byte("<html>"))
	f.Fuzz(func(t *testing.T, name string, head []byte) {
		clean, mime, kind := filectr.Cleaned(name, head)
		if !utf8.ValidString(clean) || len(clean) > 210 || strings.ContainsAny(clean, "/\\\r\n\x00\"") || strings.ContainsFunc(clean, unicode.IsControl) {
			t.Errorf("%q became %q", name, clean)
		}
		if mime == "" || kind != "document" && strings.Contains(mime, "html") {
			t.Errorf("%q is %q, %q", name, mime, kind)
		}
	})
}
