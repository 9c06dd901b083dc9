package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markName is a small file beside Pebble's that says how far the store got: the
// number of the newest durable change, and the name and length of the newest
// MANIFEST. Pebble takes a bad record at the end of its files for the end; what the
// mark says must be there tells the end of a log from damage.
//
// It is written behind every sync but not synced: killing the process does not
// lose it, a power cut may leave an older one. So it never says too much, and what
// is found must be no less than it.
const markName = "troupe.mark"

// mark is the file's content: a word, three numbers, the manifest's number being
// 0 before there was one, and a CRC-32C over all.
type mark struct {
	counter  int64 // of the newest durable change
	manifest int64 // its number, as in MANIFEST-000001
	length   int64 // of the manifest in bytes, at a record's end
}

const (
	markWord = "troupe.1"
	markSize = 8 + 3*8 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m mark) bytes() []byte {
	b := append(make([]byte, 0, markSize), markWord...)
	for _, n := range [...]int64{m.counter, m.manifest, m.length} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseMark(b []byte) (m mark, err error) {
	if len(b) != markSize || string(b[:8]) != markWord ||
		crc32.Checksum(b[:markSize-4], castagnoli) != binary.BigEndian.Uint32(b[markSize-4:]) {
		return m, errors.New("is damaged")
	}
	for i, n := range [...]*int64{&m.counter, &m.manifest, &m.length} {
		*n = int64(binary.BigEndian.Uint64(b[8+8*i:]))
	}
	return m, nil
}

// readMark reads a directory's mark. unmarked says that an operator emptied the file, which means: take
// the store as it stands. A file that is not there is an os.ErrNotExist.
func readMark(fs vfs.FS, dir string) (m mark, unmarked bool, err error) {
	path := fs.PathJoin(dir, markName)
	f, err := fs.Open(path)
	if err != nil {
		return m, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return m, false, fmt.Errorf("%s: %w", path, err)
	}
	if len(b) == 0 {
		return m, true, nil
	}
	if m, err = parseMark(b); err != nil {
		return m, false, fmt.Errorf("%s %w; see docs/storage.md", path, err)
	}
	return m, false, nil
}

// writeMark makes a directory's mark anew, durably.
func writeMark(fs vfs.FS, dir string, m mark) (vfs.File, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(m.bytes(), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// marker keeps the mark of an open store up to date.
type marker struct {
	mu      sync.Mutex
	file    vfs.File // nil before the store is open
	log     *slog.Logger
	failed  bool
	mark    mark
	written map[int64]int64 // synced length of manifests that this process writes, by number
}

// synced says that all changes up to counter are durable.
func (m *marker) synced(counter int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if counter > m.mark.counter {
		m.mark.counter = counter
		m.write()
	}
}

// manifestSynced says that a manifest is durable up to length. It counts
// only once the manifest is the store's, which manifestUsed says.
func (m *marker) manifestSynced(number, length int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written == nil {
		m.written = map[int64]int64{}
	}
	m.written[number] = length
	if m.mark.manifest == number {
		m.mark.length = length
		m.write()
	}
}

func (m *marker) manifestUsed(number int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mark.manifest, m.mark.length = number, m.written[number]
	m.write()
}

// write puts the mark into its file. Without it nothing is lost, only less would be noticed.
func (m *marker) write() {
	if m.file == nil {
		return
	}
	if _, err := m.file.WriteAt(m.mark.bytes(), 0); err != nil && !m.failed {
		m.failed = true
		m.log.Warn("the store's mark cannot be written: damage to its files may go unnoticed", "error", err)
	}
}

func (m *marker) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil
	}
	err := errors.Join(m.file.Sync(), m.file.Close())
	m.file = nil
	return err
}

// watchedFS tells of every sync of a manifest, and does not reuse files while purging.
type watchedFS struct {
	vfs.FS
	synced  func(number, length int64)
	purging *atomic.Bool
}

// ReuseForWrite makes a new file in the place of an old one while a purge goes on: a
// log that is used again keeps the end of what was in it.
func (fs watchedFS) ReuseForWrite(old, new string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !fs.purging.Load() {
		return fs.FS.ReuseForWrite(old, new, category)
	}
	if err := fs.Remove(old); err != nil {
		return nil, err
	}
	return fs.FS.Create(new, category)
}

func (fs watchedFS) Unwrap() vfs.FS { return fs.FS }

func (fs watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if number, ok := manifestNumber(fs.PathBase(name)); ok && err == nil {
		return &watchedFile{File: f, number: number, synced: fs.synced}, nil
	}
	return f, err
}

type watchedFile struct {
	vfs.File
	number, length int64
	synced         func(number, length int64)
}

func (f *watchedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.length += int64(n)
	return n, err
}

func (f *watchedFile) Sync() error {
	err := f.File.Sync()
	if err == nil {
		f.synced(f.number, f.length)
	}
	return err
}

func manifestNumber(name string) (n int64, ok bool) {
	digits, ok := strings.CutPrefix(name, "MANIFEST-")
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscanf(digits, "%d", &n)
	return n, err == nil
}

func manifestName(n int64) string { return fmt.Sprintf("MANIFEST-%06d", n) }

func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }
