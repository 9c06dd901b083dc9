package preview

import (
	"bytes"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Characters of a preview's texts.
const (
	maxTitle = 200
	maxText  = 500
	maxSite  = 80
)

// page is what a page says of itself, as text.
type page struct {
	title, text, site string
	picture           string // a whole link, "": none
}

// read reads a page that came from at. What it says of its characters counts as in
// browsers: the mark at its begin, the header, its first meta elements. Nothing in it is
// ever run, and none of its HTML comes out.
func read(body []byte, contentType string, at *url.URL) page {
	encoding, _, certain := charset.DetermineEncoding(body, contentType)
	if certain || !utf8.Valid(wholeRunes(body)) {
		if plain, _, err := transform.Bytes(encoding.NewDecoder(), body); err == nil {
			body = plain
		}
	}
	h := head{base: at}
	z := html.NewTokenizer(bytes.NewReader(body))
	z.SetMaxBuf(256 << 10) // of one token
	for !h.done {
		switch z.Next() {
		case html.ErrorToken: // its end, or a token too large
			h.done = true
		case html.StartTagToken, html.SelfClosingTagToken:
			h.tag(z)
		case html.EndTagToken:
			name, _ := z.TagName()
			h.end(atom.Lookup(name))
		case html.TextToken:
			if h.inTitle {
				text := z.Text()
				h.own.title += string(text[:min(len(text), 4096)])
			}
		}
	}
	return h.page()
}

// wholeRunes is b without the character that was cut at its end.
func wholeRunes(b []byte) []byte {
	for cut := 1; cut < utf8.UTFMax && cut <= len(b); cut++ {
		if r := b[len(b)-cut]; utf8.RuneStart(r) {
			if !utf8.FullRune(b[len(b)-cut:]) {
				return b[:len(b)-cut]
			}
			break
		}
	}
	return b
}

// head is what was found so far: by OpenGraph, by Twitter's cards, and by HTML itself.
type head struct {
	base             *url.URL
	graph, card, own page
	inTitle, titled  bool
	body, done       bool
}

func (h *head) tag(z *html.Tokenizer) {
	name, more := z.TagName()
	what := atom.Lookup(name)
	switch what {
	case atom.Title:
		h.inTitle = !h.titled
		return
	case atom.Svg: // has titles of its own
		h.titled = h.titled || h.body
		return
	case atom.Body:
		h.body = true
		h.done = h.graph.title != "" // the rest is what people read
		return
	case atom.Meta, atom.Link, atom.Base:
	default:
		return
	}
	at := map[string]string{}
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if _, twice := at[string(k)]; !twice && len(at) < 32 {
			at[string(k)] = string(v)
		}
	}
	switch what {
	case atom.Meta:
		h.meta(at)
	case atom.Base:
		if u, err := h.base.Parse(strings.TrimSpace(at["href"])); err == nil && at["href"] != "" {
			h.base = u
		}
	case atom.Link:
		if rel := strings.ToLower(at["rel"]); rel == "image_src" {
			first(&h.own.picture, at["href"])
		}
	}
}

func (h *head) end(what atom.Atom) {
	switch what {
	case atom.Title:
		h.titled = h.titled || h.inTitle
		h.inTitle = false
	case atom.Head:
		h.done = h.graph.title != ""
	}
}

func (h *head) meta(at map[string]string) {
	says := at["content"]
	for _, name := range []string{at["property"], at["name"], at["itemprop"]} {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "og:title":
			first(&h.graph.title, says)
		case "og:description":
			first(&h.graph.text, says)
		case "og:site_name":
			first(&h.graph.site, says)
		case "og:image", "og:image:url", "og:image:secure_url":
			first(&h.graph.picture, says)
		case "twitter:title":
			first(&h.card.title, says)
		case "twitter:description":
			first(&h.card.text, says)
		case "twitter:image", "twitter:image:src":
			first(&h.card.picture, says)
		case "description":
			first(&h.own.text, says)
		case "application-name":
			first(&h.own.site, says)
		case "image", "thumbnail":
			first(&h.own.picture, says)
		}
	}
}

// first keeps the first thing that was said.
func first(to *string, says string) {
	if *to == "" {
		*to = strings.TrimSpace(says)
	}
}

// page is the best of what was found.
func (h *head) page() page {
	best := func(of func(p page) string, most int) string {
		for _, p := range []page{h.graph, h.card, h.own} {
			if text := plain(of(p), most); text != "" {
				return text
			}
		}
		return ""
	}
	p := page{
		title: best(func(p page) string { return p.title }, maxTitle),
		text:  best(func(p page) string { return p.text }, maxText),
		site:  best(func(p page) string { return p.site }, maxSite),
	}
	for _, from := range []page{h.graph, h.card, h.own} {
		if from.picture == "" {
			continue
		}
		if u, err := h.base.Parse(from.picture); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			p.picture = u.String()
			break
		}
	}
	return p
}

// plain makes of what a page says one line that harms nobody who shows it as text: no
// control characters, none that turn the direction of writing or cannot be seen, no more
// than most characters.
func plain(text string, most int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c' || r == '\u200d': // join letters and emoji
			return r
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs), r == '\ufffd':
			return -1
		}
		return r
	}, norm.NFC.String(text))
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)[:most-1]
	return strings.TrimRight(string(runes), " \u200c\u200d") + "…"
}
