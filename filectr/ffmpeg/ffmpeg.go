// Package ffmpeg asks FFmpeg, where it is installed, what our own code cannot tell:
// how long a video is and how it begins, and how loud voice of other encodings is.
//
// FFmpeg is told the format and may open nothing but the one file, so that a playlist
// which calls itself a video opens nothing. It has the bounds of package child.
package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/filectr/child"
	"github.com/troupe-im/troupe/filectr/sound"
)

// Tools are FFmpeg's two programs.
type Tools struct{ mpeg, probe string }

// Find looks for them as a shell does. nil: one is not there.
func Find() *Tools {
	mpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil
	}
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		return nil
	}
	return &Tools{mpeg, probe}
}

// formats are FFmpeg's names of what types are read by.
var formats = map[string]string{
	"audio/mpeg": "mp3", "audio/mp4": "mov", "audio/aac": "aac", "audio/amr": "amr", "audio/flac": "flac", "audio/ogg": "ogg", "audio/webm": "matroska",
	"video/mp4": "mov", "video/quicktime": "mov", "video/3gpp": "mov", "video/webm": "matroska", "video/x-matroska": "matroska", "video/ogg": "ogg",
}

// within is how long it may take.
const within = 30 * time.Second

// longest is what is decoded of a sound; of more nothing is known.
const longest = 30 * time.Minute

func input(path, mime string) ([]string, error) {
	format := formats[mime]
	if format == "" {
		return nil, fmt.Errorf("ffmpeg: nothing reads %s", mime)
	}
	return []string{"-v", "error", "-protocol_whitelist", "file", "-f", format, "-i", "file:" + path}, nil
}

// Sound measures the sound of the file at path.
func (t *Tools) Sound(ctx context.Context, path, mime string) (r sound.Result, err error) {
	in, err := input(path, mime)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := child.Command(ctx, t.mpeg, append(append([]string{"-nostdin", "-threads", "1"}, in...),
		"-vn", "-ac", "1", "-ar", strconv.Itoa(sound.PCMRate), "-t", strconv.Itoa(int((longest+time.Second).Seconds())), "-f", "s16le", "-")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, fmt.Errorf("ffmpeg: %w", err)
	}
	r, err = sound.PCM(out)
	if e := cmd.Wait(); e != nil {
		return sound.Result{}, fmt.Errorf("ffmpeg: %w", e)
	}
	if r.Duration > longest {
		return sound.Result{}, nil
	}
	return r, err
}

// Video gives the duration of the file at path, 0: it cannot be told, and writes its
// first picture as JPEG to poster.
func (t *Tools) Video(ctx context.Context, path, mime, poster string) (time.Duration, error) {
	in, err := input(path, mime)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := child.Command(ctx, t.mpeg, append(append([]string{"-nostdin", "-y", "-threads", "1"}, in...),
		"-an", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-f", "image2", "-update", "1", "file:"+poster)...)
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("ffmpeg: %w", err)
	}
	var out bytes.Buffer
	cmd = child.Command(ctx, t.probe, append(in, "-show_entries", "format=duration", "-of", "csv=p=0")...)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("ffmpeg: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
	if err != nil { // N/A: a recording that was not told how long it would be, as browsers make them
		return t.walked(ctx, in)
	}
	if seconds < 0 || seconds > longestVideo.Seconds() {
		return 0, nil
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// longestVideo is what is believed of one.
const longestVideo = 1e6 * time.Second

// walked is how far the pictures of in go, which are passed over without decoding them.
func (t *Tools) walked(ctx context.Context, in []string) (time.Duration, error) {
	var out bytes.Buffer
	cmd := child.Command(ctx, t.mpeg, append(append([]string{"-nostdin", "-threads", "1"}, in...), "-map", "0:v:0", "-c", "copy", "-f", "null", "-progress", "-", "-")...)
	cmd.Stdout = &out // some 200 bytes each half second
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("ffmpeg: %w", err)
	}
	text := out.String()
	_, last, _ := strings.Cut(text[max(0, strings.LastIndex(text, "out_time_us=")):], "=")
	last, _, _ = strings.Cut(last, "\n")
	micros, err := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
	if err != nil || micros < 0 || micros > longestVideo.Microseconds() {
		return 0, nil
	}
	return time.Duration(micros) * time.Microsecond, nil
}
