package plugins

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Line is a line that a bot's process wrote.
type Line struct {
	At    time.Time `json:"at"`
	Level string    `json:"level,omitempty"` // DEBUG, INFO, WARN or ERROR, where the bot said so
	Text  string    `json:"text"`            // of a JSON line its message, and its fields as KEY=VALUE
	N     int64     `json:"n"`               // the first of a bot is 1
}

const (
	keptLines = 200
	dumpLines = 60      // of what a dying Go program says of all its goroutines, the first ones say why
	longLine  = 4 << 10 // bytes; the rest of a longer one is cut away
	logRate   = 20      // lines a second that go on to our own log, and logBurst at once
	logBurst  = 100
	byteRate  = 1 << 20 // bytes a second that are read of a process, and byteBurst at once: it waits
	byteBurst = 4 << 20
)

// journal keeps the last lines of a bot, over restarts, and gives them to our log.
type journal struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	lines   []Line
	n       int64
	room    float64 // lines that may be logged now
	last    time.Time
	dropped int
	dump    int           // lines since a process began to say how it dies; 0: it did not
	cause   string        // the first of them
	news    chan struct{} // closed by the next line
}

func newJournal(log *slog.Logger, now func() time.Time) *journal {
	return &journal{log: log, now: now, room: logBurst, news: make(chan struct{})}
}

// add takes a line.
func (j *journal) add(text string) {
	if text = strings.ToValidUTF8(strings.TrimRight(text, "\r\n"), "\uFFFD"); text == "" {
		return
	}
	if len(text) > longLine {
		text = strings.ToValidUTF8(text[:longLine], "") + "…"
	}
	level, message, attrs, said := parseLine(text)
	line := Line{Text: text}
	if said {
		line.Level, line.Text = level.String(), message+inWords(attrs)
	}
	j.mu.Lock()
	dying := dies(text)
	if dying && j.dump == 0 {
		j.cause = line.Text
	}
	if j.dump > 0 || dying {
		if j.dump++; j.dump > dumpLines {
			j.mu.Unlock()
			return
		}
	}
	now := j.now()
	j.n++
	line.At, line.N = now, j.n
	j.lines = append(j.lines, line)
	if len(j.lines) >= 2*keptLines { // seldom, not at each line
		j.lines = append([]Line{}, j.lines[len(j.lines)-keptLines:]...)
	}
	close(j.news)
	j.news = make(chan struct{})
	j.room = min(logBurst, j.room+logRate*now.Sub(j.last).Seconds())
	j.last = now
	dropped := 0
	if j.room < 1 {
		j.dropped++
		j.mu.Unlock()
		return
	}
	j.room--
	dropped, j.dropped = j.dropped, 0
	j.mu.Unlock()
	if dropped > 0 {
		j.log.Warn("lines of a bot's log were left out", "lines", dropped)
	}
	if !dying && j.dying() {
		level = slog.LevelDebug
	}
	j.log.LogAttrs(context.Background(), level, message, attrs...)
}

func (j *journal) dying() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dump > 0
}

// over says that the process has said all it will.
func (j *journal) over() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dump = 0
}

// died gives the first line in which a process said how it dies, once; "": it said none.
func (j *journal) died() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	cause := j.cause
	j.cause = ""
	return cause
}

// dies says whether a Go program begins to say how it dies with a line.
func dies(text string) bool {
	for _, begins := range []string{"panic: ", "fatal error: ", "runtime/cgo: ", "SIGABRT: ", "SIGSEGV: ", "SIGBUS: ", "SIGFPE: ", "SIGQUIT: "} {
		if strings.HasPrefix(text, begins) {
			return true
		}
	}
	return false
}

// ownKeys are the keys of our own log, which a bot's lines do not write.
var ownKeys = []string{"bot", "time", "level", "msg", "source"}

// parseLine reads what slog's and hclog's JSON handlers write, fields in the order of their
// names; said is false of another line, which is what it is.
func parseLine(text string) (level slog.Level, message string, attrs []slog.Attr, said bool) {
	var fields map[string]any
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &fields) != nil {
		if dies(text) {
			return slog.LevelError, text, nil, false
		}
		return slog.LevelInfo, text, nil, false
	}
	take := func(names ...string) string {
		for _, name := range names {
			if s, ok := fields[name].(string); ok {
				delete(fields, name)
				return s
			}
		}
		return ""
	}
	word := strings.ToUpper(take("level", "@level", "lvl", "severity"))
	switch word { // of hclog and others
	case "TRACE":
		word = "DEBUG"
	case "WARNING":
		word = "WARN"
	case "FATAL", "PANIC", "CRITICAL":
		word = "ERROR"
	}
	_ = level.UnmarshalText([]byte(word)) // else it is INFO
	if message = take("msg", "@message", "message"); message == "" {
		return level, text, nil, false
	}
	take("time", "@timestamp", "ts", "timestamp")
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		name := strings.TrimPrefix(k, "@")
		if slices.Contains(ownKeys, name) {
			name += "_"
		}
		attrs = append(attrs, slog.Any(name, fields[k]))
	}
	return level, message, attrs, true
}

// inWords writes attributes as slog's text handler does.
func inWords(attrs []slog.Attr) string {
	var b strings.Builder
	for _, a := range attrs {
		value := a.Value.String()
		if value == "" || strings.ContainsAny(value, " =\"\n") {
			value = strconv.Quote(value)
		}
		b.WriteString(" " + a.Key + "=" + value)
	}
	return b.String()
}

// after gives the lines behind the nth, and what is closed when there are more.
func (j *journal) after(n int64) ([]Line, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines[max(0, len(j.lines)-keptLines):]
	for len(lines) > 0 && lines[0].N <= n {
		lines = lines[1:]
	}
	return append([]Line{}, lines...), j.news
}

// liner is a Writer that gives lines to a journal.
type liner struct {
	journal *journal
	pace    *pace
	mu      sync.Mutex
	rest    []byte
}

func (l *liner) Write(b []byte) (int, error) {
	l.pace.take(len(b))
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		l.journal.add(string(append(l.rest, b[:i]...)))
		l.rest, b = l.rest[:0], b[i+1:]
	}
	if room := longLine + 1 - len(l.rest); room > 0 { // of a line without an end only the beginning is kept
		l.rest = append(l.rest, b[:min(len(b), room)]...)
	}
	return n, nil
}

// flush gives what has no line's end.
func (l *liner) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.journal.add(string(l.rest))
		l.rest = nil
	}
}

// pace makes whoever reads too much of a process wait, until it has gone.
type pace struct {
	gone <-chan struct{}
	mu   sync.Mutex
	room float64
	last time.Time
}

func newPace(gone <-chan struct{}) *pace {
	return &pace{gone: gone, room: byteBurst, last: time.Now()}
}

func (p *pace) take(n int) {
	p.mu.Lock()
	now := time.Now()
	p.room = min(byteBurst, p.room+byteRate*now.Sub(p.last).Seconds()) - float64(n)
	p.last = now
	wait := time.Duration(-p.room / byteRate * float64(time.Second))
	p.mu.Unlock()
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.gone:
	}
}

// firstLine is a process's standard output as go-plugin reads it: the handshake's line.
// What comes behind it goes to the log, however long its lines are.
type firstLine struct {
	from io.ReadCloser
	rest *liner
	seen int
	over bool
}

const longestHandshake = 4 << 10

func (f *firstLine) Read(b []byte) (int, error) {
	for !f.over {
		n, err := f.from.Read(b[:min(len(b), longestHandshake)])
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			_, _ = f.rest.Write(b[i+1 : n])
			f.over = true
			return i + 1, nil
		}
		if f.seen += n; f.seen > longestHandshake {
			f.over = true
			return n, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	_, err := io.Copy(f.rest, f.from)
	f.rest.flush()
	if err == nil {
		err = io.EOF
	}
	return 0, err
}

func (f *firstLine) Close() error { return f.from.Close() }
