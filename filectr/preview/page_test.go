package preview

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

var at, _ = url.Parse("https://example.com/a/b.html")

func TestAPageIsReadByWhatItSaysOfItself(t *testing.T) {
	for says, c := range map[string]struct {
		in   string
		want page
	}{
		"OpenGraph": {`<html><head><title>own</title><meta name=description content="own text"><meta property="og:title" content="A &amp; B"><meta property="og:description" content="text">
			<meta property="og:site_name" content="Site"><meta property="og:image" content="/p.png"></head><body><title>no</title>`,
			page{"A & B", "text", "Site", "https://example.com/p.png"}},
		"Twitter's card":   {`<meta name="twitter:title" content="T"><meta name="twitter:description" content="D"><meta name="twitter:image" content="//cdn.example.com/x.jpg">`, page{"T", "D", "", "https://cdn.example.com/x.jpg"}},
		"HTML itself":      {"<title>\n One\t two </title><meta name=Description content='D'><link rel=image_src href=p.gif>", page{"One two", "D", "", "https://example.com/a/p.gif"}},
		"a base":           {`<base href="https://other.example.com/x/"><meta property="og:image" content="p.png"><title>t</title>`, page{"t", "", "", "https://other.example.com/x/p.png"}},
		"in capitals":      {`<META PROPERTY="OG:TITLE" CONTENT="T">`, page{"T", "", "", ""}},
		"in the body":      {`<body><div><meta property="og:title" content="late"></div>`, page{"late", "", "", ""}},
		"an icon's title":  {`<body><svg><title>icon</title></svg>`, page{}},
		"the first counts": {`<meta property="og:title" content="1"><meta property="og:title" content="2"><title>3</title><title>4</title>`, page{"1", "", "", ""}},
		"an empty one":     {`<meta property="og:title" content=" "><title>own</title>`, page{"own", "", "", ""}},
		"script is not":    {`<script>document.write("<title>no</title><meta property='og:title' content='no'>")</script><!-- <title>no</title> --><title>yes</title>`, page{"yes", "", "", ""}},
		"no HTML":          {`<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>`, page{"<script>alert(1)</script>", "", "", ""}},
		"pictures elsewhere": {`<meta property="og:image" content="javascript:alert(1)"><meta name="twitter:image" content="data:image/png;base64,AA"><link rel=image_src href="file:///etc/passwd">
			<title>t</title>`, page{"t", "", "", ""}},
		"hidden characters": {"<title>safe\u202egnp.exe\u0000\u0007\u200b\ufeff a\u2028b</title>", page{"safegnp.exe a b", "", "", ""}},
		"nothing":           {"", page{}},
		"cut off":           {"<title>cut", page{"cut", "", "", ""}},
	} {
		if got := read([]byte(c.in), "text/html; charset=utf-8", at); got != c.want {
			t.Errorf("%s: %+v, want %+v", says, got, c.want)
		}
	}
}

func TestAPageIsReadInItsOwnCharacters(t *testing.T) {
	chinese := "<head><meta charset=gb2312><title>人民网 即时通讯</title></head>"
	gbk, _ := simplifiedchinese.GBK.NewEncoder().String(chinese)
	gb18030, _ := simplifiedchinese.GB18030.NewEncoder().String("<title>人民网 即时通讯</title>")
	httpEquiv, _ := simplifiedchinese.GBK.NewEncoder().String(`<meta http-equiv="Content-Type" content="text/html; charset=GBK"><title>人民网 即时通讯</title>`)
	sjis, _ := japanese.ShiftJIS.NewEncoder().String("<title>日本</title>")
	latin, _ := charmap.Windows1252.NewEncoder().String("<title>Grüße</title>")
	for says, c := range map[string]struct{ body, header, want string }{
		"GBK by a meta element":      {gbk, "text/html", "人民网 即时通讯"},
		"GBK by http-equiv":          {httpEquiv, "text/html", "人民网 即时通讯"},
		"GB18030 by the header":      {gb18030, "text/html; charset=GB18030", "人民网 即时通讯"},
		"Shift JIS by the header":    {sjis, "text/html; charset=shift_jis", "日本"},
		"nothing is said, UTF-8":     {"<title>人民网</title>", "text/html", "人民网"},
		"nothing is said, far away":  {strings.Repeat("<!-- -->", 500) + "<title>人民网</title>", "text/html", "人民网"},
		"nothing is said, something": {latin, "text/html", "Grüße"},
		"a mark at the begin":        {"\ufeff<title>人</title>", "text/html; charset=gbk", "人"},
		"a charset nobody knows":     {"<title>人</title>", "text/html; charset=klingon", "人"},
	} {
		if got := read([]byte(c.body), c.header, at); got.title != c.want {
			t.Errorf("%s: %q, want %q", says, got.title, c.want)
		}
	}
}

func TestTextsAreCut(t *testing.T) {
	p := read([]byte("<title>"+strings.Repeat("界", 300)+"</title><meta name=description content='"+strings.Repeat("é", 9000)+"'>"), "text/html; charset=utf-8", at)
	if utf8.RuneCountInString(p.title) != maxTitle || !strings.HasSuffix(p.title, "界…") || utf8.RuneCountInString(p.text) != maxText {
		t.Errorf("%d, %d characters", utf8.RuneCountInString(p.title), utf8.RuneCountInString(p.text))
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"<title>a</title>", `<meta property="og:title" content="x">`, "<base href=':'><link rel=image_src href=x>", "\xff\xfe<\x00t\x00"} {
		f.Add([]byte(s), "text/html")
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		p := read(body, header, at)
		for _, text := range []string{p.title, p.text, p.site} {
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxText {
				t.Fatalf("%q", text)
			}
			for _, r := range text {
				if unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
					t.Fatalf("%q has %U", text, r)
				}
			}
		}
		if p.picture != "" && !strings.HasPrefix(p.picture, "http://") && !strings.HasPrefix(p.picture, "https://") {
			t.Fatalf("the picture is %q", p.picture)
		}
	})
}
