package filectr_test

import (
	"bytes"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr"
)

// makeBy has FFmpeg make a file.
func makeBy(t *testing.T, name, args string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("ffmpeg", append(strings.Fields("-v error "+args), path)...).CombinedOutput(); err != nil {
		t.Skipf("FFmpeg does not make %s: %v %s", name, err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func needFFmpeg(t *testing.T) {
	t.Helper()
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "ffmpeg") {
				t.Fatalf("there is no %s, and TROUPE_TEST_NEED says that it is needed", program)
			}
			t.Skip("FFmpeg is not installed")
		}
	}
}

func TestFFmpegTellsWhatAVideoIs(t *testing.T) {
	needFFmpeg(t)
	s := newStage(t, nil)
	for _, c := range []struct {
		name, args string
		w, h       int
		thumbs     int
	}{
		{"a.mp4", "-f lavfi -i testsrc=duration=2:size=640x360:rate=10 -c:v mpeg4", 640, 360, 2},
		{"b.mp4", "-f lavfi -i testsrc=duration=2:size=1600x900:rate=2 -c:v mpeg4", 1600, 900, 2},
		{"c.mkv", "-f lavfi -i testsrc=duration=2:size=160x90:rate=10 -c:v mpeg4", 160, 90, 1},
		{"d.webm", "-f lavfi -i testsrc=duration=2:size=640x360:rate=10 -c:v libvpx -live 1", 640, 360, 2}, // it does not say how long it is, as what browsers record
	} {
		f := s.upload("ann", c.name, makeBy(t, c.name, c.args))
		if f.Kind != "video" || f.Width != c.w || f.Height != c.h || f.Duration < 1900 || f.Duration > 2200 || f.Placeholder == "" || len(f.Thumbs) != c.thumbs {
			t.Errorf("%s: %+v", c.name, f)
		}
		for _, size := range []string{"small", "large"} {
			r := s.do("ann", "GET", "/api/v2/files/"+f.ID+"/thumb?size="+size, nil)
			if m, format, err := image.DecodeConfig(bytes.NewReader(r.body)); err != nil || format != "jpeg" || m.Width > 1280 {
				t.Errorf("%s: its %s picture: %d %+v %v", c.name, size, r.status, m, err)
			}
		}
	}
	if _, drafts := s.kept(); drafts != 0 {
		t.Errorf("%d drafts are left", drafts)
	}
}

func TestFFmpegMeasuresVoice(t *testing.T) {
	needFFmpeg(t)
	s := newStage(t, nil)
	for name, args := range map[string]string{"a.m4a": "-c:a aac", "b.flac": "-c:a flac", "c.mp3": "-c:a libmp3lame", "d.weba": "-c:a libopus -f webm"} {
		f := s.upload("ann", name, makeBy(t, name, "-f lavfi -i sine=frequency=440:duration=2 "+args))
		if f.Kind != "voice" || f.Duration < 1900 || f.Duration > 2200 || len(f.Peaks) != 64 || f.Peaks[32] < 20 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// A playlist that calls itself a video would have FFmpeg open other files.
func TestFFmpegOpensNothingElse(t *testing.T) {
	needFFmpeg(t)
	s := newStage(t, nil)
	for name, content := range map[string]string{
		"a.mp4":  "\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
		"b.webm": "\x1aE\xdf\xa3webm\n#EXTM3U\nhttp://127.0.0.1:1/x\n",
	} {
		if f := s.upload("ann", name, []byte(content)); f.Kind != "video" || f.Duration != 0 || len(f.Thumbs) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestWithoutFFmpegNothingIsSaidOfAVideo(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.FFmpeg = "off" })
	f := s.upload("ann", "a.mp4", []byte("\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom and so on"))
	if f.Kind != "video" || f.Duration != 0 || f.Width != 0 || len(f.Thumbs) != 0 || f.Placeholder != "" {
		t.Errorf("%+v", f)
	}
	if r := s.do("ann", "GET", "/api/v2/files/"+f.ID+"/thumb", nil); r.status != 404 {
		t.Errorf("its picture: %d", r.status)
	}
}
