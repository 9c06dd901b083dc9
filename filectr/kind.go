package filectr

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// sniffed is how many bytes of a file's begin its type is told by.
const sniffed = 64 << 10

// unknown is what is only ever saved, never shown.
const unknown = "application/octet-stream"

// typeOf tells a file's type by its first bytes and its name together. A picture,
// voice or video is one only where both say so, or the name says nothing: what is
// one thing to us and another to whoever opens it is saved, not shown.
func typeOf(head []byte, name string) (mime string, kind Kind) {
	content, said := sniff(head), byName[extension(name)]
	switch kind := kindOf(content); {
	case isPackage(content, said):
		return said, Package
	case kind == Document && content == "":
		return unknown, Document
	case kind == Document:
		return document(content, said), Document
	case extension(name) == "":
		return content, kind
	case kind == Image && kindOf(said) != Image, kind != Image && kindOf(said) != Voice && kindOf(said) != Video:
		return unknown, Document
	case content == "video/mp4" && said == "audio/mp4", content == "video/webm" && said == "audio/webm":
		return said, Voice // a container whose tracks were not found at its begin
	default:
		return content, kind
	}
}

// document is the type of what is saved: of a container and of text the name says
// which, of all else the content does.
func document(content, said string) string {
	var family []string
	switch content {
	case zipArchive:
		family = zipped
	case oleStorage:
		family = ole
	case "text/plain":
		family = texts
	case "text/html":
		family = []string{"text/html", "application/xhtml+xml"}
	case "text/xml":
		family = []string{"text/xml", "image/svg+xml", "application/xhtml+xml"}
	default:
		return content
	}
	for _, one := range family {
		if one == said {
			return one
		}
	}
	switch content {
	case "text/html", "text/xml", oleStorage:
		return unknown // it calls itself something else
	}
	return content
}

const (
	openXML = "application/vnd.openxmlformats-officedocument."
	openDoc = "application/vnd.oasis.opendocument."
)

var zipped = []string{
	openXML + "wordprocessingml.document", openXML + "spreadsheetml.sheet", openXML + "presentationml.presentation",
	openDoc + "text", openDoc + "spreadsheet", openDoc + "presentation",
	"application/epub+zip", "application/java-archive",
}

var ole = []string{"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}

var texts = []string{"text/plain", "text/csv", "text/markdown", "application/json"}

// byName is what extensions say. What is not in it says nothing that counts.
var byName = map[string]string{
	"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "jfif": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
	"heic": "image/heic", "heif": "image/heic", "avif": "image/avif", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
	"wav": "audio/wav", "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "mp3": "audio/mpeg", "m4a": "audio/mp4",
	"aac": "audio/aac", "amr": "audio/amr", "flac": "audio/flac", "weba": "audio/webm",
	"mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "3gp": "video/3gpp", "webm": "video/webm", "mkv": "video/x-matroska", "ogv": "video/ogg",
	"docx": openXML + "wordprocessingml.document", "xlsx": openXML + "spreadsheetml.sheet", "pptx": openXML + "presentationml.presentation",
	"odt": openDoc + "text", "ods": openDoc + "spreadsheet", "odp": openDoc + "presentation",
	"epub": "application/epub+zip", "jar": "application/java-archive",
	"apk": apk, "ipa": ipa, "msix": msix, "appx": appx, "msixbundle": msixBundle, "appxbundle": appxBundle,
	"exe": exe, "msi": msi, "dmg": dmg, "pkg": xar, "appimage": appImage, "deb": deb, "rpm": rpm,
	"doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
	"txt": "text/plain", "log": "text/plain", "csv": "text/csv", "md": "text/markdown", "json": "application/json",
	"html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml", "svg": "image/svg+xml", "xml": "text/xml",
}

// kindOf is what a type is to people by itself: what is shown or played. Types that
// browsers run or that are not shown by all of them are documents.
func kindOf(mime string) Kind {
	switch mime {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return Image
	case "audio/wav", "audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/flac", "audio/webm":
		return Voice
	case "video/mp4", "video/quicktime", "video/3gpp", "video/webm", "video/x-matroska", "video/ogg":
		return Video
	}
	return Document
}

// sniff tells a type by a file's first bytes alone; "" is none that is known. It
// looks for what browsers and players act upon, and for text that may be a page.
func sniff(head []byte) string {
	if len(head) >= 11 && string(head[:4]) == "\x7fELF" && string(head[8:11]) == "AI\x02" {
		return appImage
	}
	for _, s := range signatures {
		if len(head) >= s.at+len(s.magic) && string(head[s.at:s.at+len(s.magic)]) == s.magic {
			return s.mime
		}
	}
	switch {
	case len(head) >= 12 && string(head[:4]) == "RIFF":
		return map[string]string{"WEBP": "image/webp", "WAVE": "audio/wav"}[string(head[8:12])]
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return mp4(head)
	case oldMovie(head):
		return "video/quicktime"
	case bytes.HasPrefix(head, []byte("\x1aE\xdf\xa3")):
		return matroska(head)
	case bytes.HasPrefix(head, []byte("OggS")):
		return ogg(head)
	case len(head) >= 4 && head[0] == 0xff && head[1]&0xf6 == 0xf0: // ADTS: sync 12 bits, layer 0
		return "audio/aac"
	case len(head) >= 4 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && head[1]&0x06 != 0 && head[2]&0xf0 != 0xf0:
		return "audio/mpeg"
	}
	return text(head)
}

var signatures = []struct {
	at    int
	magic string
	mime  string
}{
	{0, "\x89PNG\r\n\x1a\n", "image/png"}, {0, "\xff\xd8\xff", "image/jpeg"}, {0, "GIF87a", "image/gif"}, {0, "GIF89a", "image/gif"},
	{0, "II*\x00", "image/tiff"}, {0, "MM\x00*", "image/tiff"}, {0, "8BPS", "image/vnd.adobe.photoshop"},
	{0, "ID3", "audio/mpeg"}, {0, "#!AMR", "audio/amr"}, {0, "fLaC", "audio/flac"},
	{0, "%PDF-", "application/pdf"}, {0, "PK\x03\x04", zipArchive}, {0, "PK\x05\x06", zipArchive},
	{0, "\x1f\x8b", "application/gzip"}, {0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"}, {0, "Rar!\x1a\x07", "application/vnd.rar"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", oleStorage}, {257, "ustar", "application/x-tar"}, {128, "DICM", "application/dicom"},
	{0, "!<arch>\ndebian-binary", deb}, {0, "\xed\xab\xee\xdb", rpm}, {0, "xar!", xar},
	{0, "MZ", exe}, {0, "\x7fELF", "application/x-executable"},
}

// mp4 tells what an ISO base media file (ISO/IEC 14496-12) has in it by its brands.
func mp4(head []byte) string {
	size := min(int(binary.BigEndian.Uint32(head)), len(head))
	major := string(head[8:12])
	for at := 8; at+4 <= size; at += 4 {
		switch string(head[at : at+4]) {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
			return "image/heic"
		case "avif", "avis":
			return "image/avif"
		}
	}
	switch {
	case strings.HasPrefix(major, "M4A"), strings.HasPrefix(major, "M4B"):
		return "audio/mp4"
	case strings.HasPrefix(major, "qt"):
		return "video/quicktime"
	case strings.HasPrefix(major, "3g"):
		return "video/3gpp"
	case bytes.Contains(head, []byte("smhd")) && !bytes.Contains(head, []byte("vmhd")): // a sound track's header, and no picture track's
		return "audio/mp4"
	}
	return "video/mp4"
}

// oldMovie tells a QuickTime file from before there was ftyp, by its first box, which
// has less than 512 MiB: no text begins so.
func oldMovie(head []byte) bool {
	if len(head) < 12 || head[0] >= 0x20 {
		return false
	}
	switch string(head[4:8]) {
	case "moov", "mdat", "pnot":
		return true
	}
	return string(head[:8]) == "\x00\x00\x00\x08wide"
}

// matroska tells a WebM or Matroska file by its document type and its tracks' codecs.
func matroska(head []byte) string {
	start := head[:min(len(head), 4096)]
	switch {
	case !bytes.Contains(start, []byte("webm")):
		return "video/x-matroska"
	case !bytes.Contains(start, []byte("V_")) && bytes.Contains(start, []byte("A_")):
		return "audio/webm"
	}
	return "video/webm"
}

// ogg tells an Ogg file by its first streams' headers.
func ogg(head []byte) string {
	if bytes.Contains(head[:min(len(head), 1024)], []byte("theora")) {
		return "video/ogg"
	}
	return "audio/ogg"
}

// pages are what makes a browser read text as a page, wherever it stands near the begin.
var pages = []string{"<!doctype html", "<html", "<head", "<body", "<script", "<iframe", "<img", "<a ", "<a\n", "<style", "<table", "<div", "<meta", "<link", "<form", "<object", "<embed"}

// text tells text from bytes, and pages from text.
func text(head []byte) string {
	t := head
	utf16 := false
	switch {
	case bytes.HasPrefix(t, []byte("\xef\xbb\xbf")):
		t = t[3:]
	case bytes.HasPrefix(t, []byte("\xff\xfe")), bytes.HasPrefix(t, []byte("\xfe\xff")):
		t, utf16 = bytes.ReplaceAll(t[2:], []byte{0}, nil), true
	}
	lower := strings.ToLower(string(t[:min(len(t), 4096)]))
	trimmed := strings.TrimSpace(lower)
	if strings.HasPrefix(trimmed, "<?xml") || strings.HasPrefix(trimmed, "<svg") {
		return "text/xml"
	}
	for _, tag := range pages {
		if strings.Contains(lower, tag) {
			return "text/html"
		}
	}
	if strings.Contains(lower, "<svg") || strings.HasPrefix(trimmed, "<!doctype") {
		return "text/xml"
	}
	if !utf16 && bytes.IndexByte(head, 0) >= 0 {
		return ""
	}
	for cut := 0; cut < utf8.UTFMax && cut <= len(t); cut++ { // the last character may be cut
		if utf16 || utf8.Valid(t[:len(t)-cut]) {
			return "text/plain"
		}
		if len(head) < sniffed {
			break
		}
	}
	return ""
}
