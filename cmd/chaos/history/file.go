package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Recorder writes the events of one client, one JSON object per line. It may be
// used by several goroutines.
type Recorder struct {
	mu     sync.Mutex
	file   *os.File
	w      *bufio.Writer
	enc    *json.Encoder
	events []*Event
	closed bool
	err    error
}

// NewRecorder starts the history name.jsonl in dir.
func NewRecorder(dir, name string) (*Recorder, error) {
	f, err := os.Create(filepath.Join(dir, name+".jsonl"))
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	return &Recorder{file: f, w: w, enc: json.NewEncoder(w)}, nil
}

// Add records e, which is not changed afterwards. After Close it does nothing.
func (r *Recorder) Add(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.events = append(r.events, e)
	if err := r.enc.Encode(e); err != nil && r.err == nil {
		r.err = err
	}
}

// Close ends the file and gives what was recorded.
func (r *Recorder) Close() ([]*Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.events, errors.Join(r.err, r.w.Flush(), r.file.Close())
}

// Sort puts events in the order of their times; those of one time stay as they are.
func Sort(events []*Event) {
	slices.SortStableFunc(events, func(a, b *Event) int { return cmp.Compare(a.T, b.T) })
}

// Save writes what is not in the clients' files: final reads, dump and seed.
func (h *History) Save(dir string) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "final.json"), data, 0o644)
}

// Load reads a history directory back.
func Load(dir string) (*History, error) {
	data, err := os.ReadFile(filepath.Join(dir, "final.json"))
	if err != nil {
		return nil, err
	}
	h := &History{}
	if err := json.Unmarshal(data, h); err != nil {
		return nil, fmt.Errorf("final.json: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	for _, name := range files {
		if h.Events, err = loadEvents(h.Events, name); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	Sort(h.Events)
	return h, nil
}

func loadEvents(events []*Event, name string) ([]*Event, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		e := &Event{}
		if err := dec.Decode(e); err == io.EOF {
			return events, nil
		} else if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
}
