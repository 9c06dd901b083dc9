package scrub_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr/scrub"
)

// memory is a file in memory.
type memory []byte

func (m memory) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(b, m[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (m memory) WriteAt(b []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(b)) > int64(len(m)) {
		return 0, errors.New("it writes outside of the file")
	}
	return copy(m[at:], b), nil
}

// clean gives what is left of a file, and checks that a second time nothing changes.
func clean(t *testing.T, content []byte, mime string) []byte {
	t.Helper()
	m := memory(bytes.Clone(content))
	if _, err := scrub.Clean(m, int64(len(m)), mime); err != nil {
		t.Fatal(err)
	}
	again := memory(bytes.Clone(m))
	if changed, err := scrub.Clean(again, int64(len(m)), mime); changed || err != nil || !bytes.Equal(again, m) {
		t.Errorf("a second time it changes: %v, %v", changed, err)
	}
	return m
}

func box(kind string, parts ...string) string {
	body := strings.Join(parts, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))) + kind + body
}

func u32(numbers ...uint32) string {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return string(b)
}

// secret is where it was taken.
const secret = "+52.5200+013.4050/"

func TestBoxesThatSayWhereAVideoWasTakenAreGone(t *testing.T) {
	hdlr := func(kind string) string { return box("hdlr", u32(0, 0), kind, u32(0, 0, 0), "GoPro "+secret+"\x00") }
	position := box("\xa9xyz", "\x00\x12\x15\xc7", secret)
	xmp := box("uuid", "\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac", secret)
	round := box("uuid", "\xff\xcc\x82\x63\xf8\x55\x4a\x93\x88\x14\x58\x7a\x02\x52\x1f\xdd", "<rdf:all-around/>")
	table := func(at uint32) string {
		return box("stbl", box("stsz", u32(0, 0, 3, 4, 8, uint32(len(secret)))), box("stsc", u32(0, 1, 1, 3, 1)), box("stco", u32(0, 1, at)))
	}
	ftyp := box("ftyp", "isom", u32(0), "mp42")
	media := "the picture itself"
	measured := "\x00\x01\x02\x03GPS5....." + secret[1:] + "x"
	mdat := box("mdat", media, measured)
	trak := func(kind, more string, at uint32) string {
		return box("trak", box("tkhd", u32(7, 111, 222, 5)), box("udta", position), box("meta", secret), more,
			box("mdia", box("mdhd", u32(0, 111, 222, 600)), hdlr(kind), box("minf", table(at))))
	}
	video := ftyp + mdat + box("moov", box("mvhd", u32(0, 111, 222, 600, 12)), trak("vide", round, uint32(len(ftyp)+8)),
		trak("meta", "", uint32(len(ftyp)+8+len(media))), box("udta", position, box("meta", secret)), box("gps ", secret)) +
		xmp + box("free", secret) + box("sefd", secret) + "SEFT " + secret
	got := string(clean(t, []byte(video), "video/mp4"))
	if len(got) != len(video) || strings.Contains(got, "52.52") || strings.Contains(got, "GPS5") || strings.Contains(got, "\x00\x00\x00\x6f\x00\x00\x00\xde") {
		t.Errorf("%d bytes of %d, %q", len(got), len(video), got)
	}
	for _, kept := range []string{ftyp, media, round, "vide", table(uint32(len(ftyp) + 8)), u32(600, 12)} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone too", kept)
		}
	}
}

func TestWhatIsDamagedIsCleanedAsFarAsItGoes(t *testing.T) {
	moov := box("moov", box("udta", secret))
	for says, in := range map[string]string{
		"a box of no size":           moov + "\x00\x00\x00\x00mdat" + "media",
		"one larger than the file":   moov + "\x7f\xff\xff\xffmdat" + "media",
		"one of 64 bits, larger":     moov + "\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff" + "media",
		"one smaller than its head":  moov + "\x00\x00\x00\x04mdat" + "media",
		"an inner one that runs out": box("moov", "\x00\x00\xff\xffudta"+secret) + "media",
		"a recording that broke off": moov + box("mdat") + "\x00\x00\x00\x06\x65\x88\x84\x00 media",
	} {
		got := string(clean(t, []byte(in), "video/mp4"))
		if strings.Contains(got, secret) || !strings.Contains(got, "media") {
			t.Errorf("%s: %q", says, got)
		}
	}
}

func TestAMovieThatCannotBeLookedIntoIsRefused(t *testing.T) {
	many := strings.Repeat("\x00\x00\x00\x08free", 1<<18+1)
	lies := box("mdat", strings.Repeat("x", 4096)) + box("moov", box("trak", box("mdia", box("hdlr", u32(0, 0), "meta", u32(0, 0, 0)), box("minf",
		box("stbl", box("stsz", u32(0, 4096, 1<<30)), box("stsc", u32(0, 1, 1, 1, 1)), box("stco", u32(0, 1<<20), strings.Repeat(u32(8), 100)))))))
	for says, in := range map[string]string{"a compressed header": box("moov", box("cmov", "x")), "more boxes than are looked at": many, "samples over each other": lies} {
		var no *scrub.Refused
		if _, err := scrub.Clean(memory(in), int64(len(in)), "video/mp4"); !errors.As(err, &no) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// el is an element of Matroska, whose size takes 8 bytes; size below 0 is not known.
func el(id string, parts ...string) string {
	body := strings.Join(parts, "")
	return id + string(binary.BigEndian.AppendUint64(nil, 1<<56|uint64(len(body)))) + body
}

func TestElementsThatSayWhereAVideoWasTakenAreGone(t *testing.T) {
	head := el("\x1a\x45\xdf\xa3", "webm")
	info := el("\x15\x49\xa9\x66", el("\xbf", "abcd"), el("\x2a\xd7\xb1", "\x0f\x42\x40"), el("\x7b\xa9", secret), "\x44\x61\x88"+secret[:8], el("\x57\x41", secret))
	tags := el("\x12\x54\xc3\x67", el("\x73\x73", secret))
	block := el("\xa3", "the picture itself")
	cluster := "\x1f\x43\xb6\x75"
	unknown := "\x01\xff\xff\xff\xff\xff\xff\xff"
	for says, in := range map[string]string{
		"of known size":   head + el("\x18\x53\x80\x67", info, tags, el(cluster, block), el("\x19\x41\xa4\x69", secret), tags) + secret,
		"of unknown size": head + "\x18\x53\x80\x67" + unknown + info + cluster + unknown + block + block + cluster + unknown + block + tags,
	} {
		got := string(clean(t, []byte(in), "video/webm"))
		if len(got) != len(in) || strings.Contains(got, secret[:8]) || strings.Contains(got, "abcd") || strings.Count(got, block) != strings.Count(in, block) {
			t.Errorf("%s: %q", says, got)
		}
	}
}

func TestTagsOfSoundAreGone(t *testing.T) {
	broken := "RIFF\x00\x00\x00\x00WAVELIST\x00\x00\x00\x00data\x00\x00\x00\x00fact or sound"
	if got := string(clean(t, []byte(broken), "audio/wav")); !strings.HasSuffix(got, "fact or sound") {
		t.Errorf("of a recording that broke off %q is left", got)
	}
	chunk := func(kind, body string) string {
		return kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
	}
	id3 := "ID3\x04\x00\x00\x00\x00\x00\x18" + "TXXX\x00\x00\x00\x0e\x00\x00\x03" + secret[:13]
	ape := func(flags string) string {
		return "APETAGEX\xd0\x07\x00\x00" + string(rune(32+len(secret))) + "\x00\x00\x00\x01\x00\x00\x00" + flags + strings.Repeat("\x00", 8)
	}
	for _, c := range []struct{ mime, in string }{
		{"audio/mpeg", id3 + id3 + "\xff\xfb the sound" + ape("\x00\x00\x00\xa0") + secret + ape("\x00\x00\x00\x80") + "TAG" + secret + strings.Repeat(" ", 125-len(secret))},
		{"audio/wav", "RIFF\x00\x00\x00\x00WAVE" + chunk("fmt ", "16 bytes of form") + chunk("bext", secret) + chunk("LIST", "INFO"+secret) + chunk("data", " the sound") + chunk("iXML", secret)},
		{"audio/flac", "fLaC\x00\x00\x00\x04what\x04\x00\x00\x12" + secret + "\x86\x00\x00\x12" + secret + "\xff\xf8 the sound"},
	} {
		got := string(clean(t, []byte(c.in), c.mime))
		if len(got) != len(c.in) || strings.Contains(got, secret[:10]) || !strings.Contains(got, " the sound") {
			t.Errorf("%s: %q", c.mime, got)
		}
	}
}

// run is a program's output, or the test's end where it is not installed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "ffmpeg") {
			t.Fatalf("there is no %s, and TROUPE_TEST_NEED says that it is needed", program)
		}
		t.Skip("FFmpeg is not installed")
	}
	var say bytes.Buffer
	c := exec.Command(program, args...)
	c.Stderr = &say
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %q: %v %s", program, args, err, say.Bytes())
	}
	return string(out) + say.String()
}

// What FFmpeg writes plays as before, to the bit, and says nothing any more.
func TestWhatFFmpegWritesPlaysAsBefore(t *testing.T) {
	const film = "-f lavfi -i testsrc=duration=1:size=160x90:rate=10 -f lavfi -i sine=duration=1"
	const says = "-metadata title=" + secret + " -metadata location=" + secret + " -metadata com.apple.quicktime.location.ISO6709=" + secret +
		" -metadata comment=" + secret + " -metadata creation_time=2021-02-03T04:05:06Z -metadata:s:v:0 handler_name=" + secret
	for _, c := range []struct{ name, mime, how string }{
		{"a.mp4", "video/mp4", film + " -c:v mpeg4 -c:a aac"},
		{"tags.mp4", "video/mp4", film + " -c:v mpeg4 -c:a aac -movflags use_metadata_tags"},
		{"fast.mp4", "video/mp4", film + " -c:v mpeg4 -c:a aac -movflags +faststart"},
		{"pieces.mp4", "video/mp4", film + " -c:v mpeg4 -c:a aac -movflags frag_keyframe+empty_moov"},
		{"a.mov", "video/quicktime", film + " -c:v mpeg4 -c:a aac -timecode 01:02:03:04"},
		{"a.3gp", "video/3gpp", film + " -c:v mpeg4 -c:a aac -f 3gp"},
		{"a.m4a", "audio/mp4", "-f lavfi -i sine=duration=1 -c:a aac"},
		{"a.mkv", "video/x-matroska", film + " -c:v mpeg4 -c:a aac"},
		{"a.webm", "video/webm", film + " -c:v libvpx -c:a libopus"},
		{"live.webm", "video/webm", film + " -c:v libvpx -c:a libopus -live 1"},
		{"a.mp3", "audio/mpeg", "-f lavfi -i sine=duration=1 -c:a libmp3lame -write_id3v1 1"},
		{"a.wav", "audio/wav", "-f lavfi -i sine=duration=1 -write_bext 1 -metadata description=" + secret},
		{"a.flac", "audio/flac", "-f lavfi -i sine=duration=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.name)
			run(t, "ffmpeg", append(strings.Fields("-v error "+c.how+" "+says), path)...)
			look := func() (streams, shown string) {
				return run(t, "ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy", "-f", "streamhash", "-"),
					run(t, "ffprobe", "-v", "error", "-show_entries", "format:format_tags:stream_tags:stream=codec_name,width,height,duration,nb_frames,r_frame_rate:chapters", path)
			}
			streams, shown := look()
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(content, []byte(secret)) || !strings.Contains(shown, secret) {
				t.Fatalf("it does not say where it was taken before: %s", shown)
			}
			cleaned := clean(t, content, c.mime)
			if bytes.Contains(cleaned, []byte(secret)) {
				t.Error("it still says where it was taken")
			}
			if err := os.WriteFile(path, cleaned, 0o600); err != nil {
				t.Fatal(err)
			}
			after, shownAfter := look()
			if after != streams {
				t.Errorf("its streams were\n%s and are\n%s", streams, after)
			}
			if strings.Contains(shownAfter, secret) || strings.Contains(shownAfter, "2021-02") {
				t.Errorf("it says %s", shownAfter)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	mimes := []string{"video/mp4", "video/webm", "audio/mpeg", "audio/wav", "audio/flac"}
	f.Add(byte(0), []byte(box("ftyp", "isom")+box("mdat", secret)+box("moov", box("trak", box("mdia", box("hdlr", u32(0, 0), "meta"), box("minf", box("stbl",
		box("stsz", u32(0, 0, 1, 4)), box("stsc", u32(0, 1, 1, 1, 1)), box("stco", u32(0, 1, 20)))))))))
	f.Add(byte(1), []byte(el("\x1a\x45\xdf\xa3", "webm")+el("\x18\x53\x80\x67", el("\x15\x49\xa9\x66", el("\x7b\xa9", secret)))))
	f.Add(byte(2), []byte("ID3\x04\x00\x10\x00\x00\x00\x01xx"))
	f.Add(byte(3), []byte("RIFF\x00\x00\x00\x00WAVELIST\x01\x00\x00\x00x"))
	f.Add(byte(4), []byte("fLaC\x84\x00\x00\x01x"))
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		mime := mimes[int(kind)%len(mimes)]
		once := memory(bytes.Clone(in))
		if _, err := scrub.Clean(once, int64(len(in)), mime); err != nil {
			var no *scrub.Refused
			if !errors.As(err, &no) {
				t.Fatal(err)
			}
		}
	})
}
