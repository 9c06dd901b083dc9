package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// verify reads all of the store in dir before Pebble may change anything there, and
// gives the mark that it deserves. Its error names the file that is
// damaged. In this order, as each leans on the one before:
//   - the MANIFEST is whole as far as the mark says;
//   - every block of every table has its checksum, and in the tables' state, which
//     is that of one moment, every log runs from 1 to its head or beyond: see lateHeads;
//   - the write-ahead logs continue that state change by change, without a hole, up to
//     the mark at least. What is torn behind it was acknowledged to nobody.
//
// What may be beyond heads is noted in ends. lock is held on dir, by Pebble's means.
func verify(fs vfs.FS, dir string, lock *pebble.Lock, at mark, ends *logEnds) (mark, error) {
	found, err := verifyManifest(fs, dir, at)
	if err != nil {
		return found, err
	}
	if err := verifyOptions(fs, dir); err != nil {
		return found, err
	}
	o := pebbleOptions(noLogs{fs}, lock)
	o.ReadOnly = true
	o.CacheSize = 1 << 20
	o.Logger = silent{}
	db, err := openPebble(dir, o)
	if err != nil {
		return found, blame(fs, dir, err)
	}
	if err = verifyTables(fs, dir, db); err == nil {
		err = verifySessions(db, ends)
	}
	var counter int64
	if err == nil {
		v := view{s: &Store{dir: dir}, r: db}
		counter, err = v.number(keyCounter)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return found, blame(fs, dir, err)
	}
	found.counter, err = verifyLogs(fs, dir, counter, at.counter, ends)
	return found, err
}

// openPebble is pebble.Open; what Pebble panics of is an error, as it is a damaged file.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("pebblestore: %s: %v", dir, r)
		}
	}()
	return pebble.Open(dir, o)
}

func verifyManifest(fs vfs.FS, dir string, at mark) (found mark, err error) {
	desc, err := pebble.Peek(dir, fs)
	if err != nil {
		return found, fmt.Errorf("pebblestore: %s: %w", dir, err)
	}
	if !desc.Exists {
		return found, fmt.Errorf("pebblestore: %s: the file that names the MANIFEST is missing: marker.manifest.*", dir)
	}
	name := fs.PathBase(desc.ManifestFilename)
	found.manifest, _ = manifestNumber(name)
	if found.manifest < at.manifest {
		return found, fmt.Errorf("pebblestore: %s: %s is named as the newest MANIFEST, but %s was in use: files are missing or from an older copy",
			dir, name, manifestName(at.manifest))
	}
	f, err := fs.Open(desc.ManifestFilename)
	if err != nil {
		return found, fmt.Errorf("pebblestore: %s: %w", desc.ManifestFilename, err)
	}
	defer f.Close()
	r := record.NewReader(f, 0)
	for {
		rec, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		if err == nil {
			found.length = r.Offset()
			continue
		}
		switch {
		case err != io.EOF && !record.IsInvalidRecord(err):
			return found, fmt.Errorf("pebblestore: %s: %w", desc.ManifestFilename, err)
		case found.length == 0, found.manifest == at.manifest && found.length < at.length:
			return found, fmt.Errorf("pebblestore: %s is damaged behind byte %d; %d were written (%v)", desc.ManifestFilename, found.length, at.length, err)
		}
		return found, nil
	}
}

func verifyOptions(fs vfs.FS, dir string) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || desc.OptionsFilename == "" {
		return err
	}
	f, err := fs.Open(desc.OptionsFilename)
	if err != nil {
		return fmt.Errorf("pebblestore: %s: %w", desc.OptionsFilename, err)
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err == nil {
		o := pebbleOptions(fs, nil)
		o.EnsureDefaults()
		err = o.CheckCompatibility(dir, string(text))
	}
	if err != nil {
		return fmt.Errorf("pebblestore: %s is damaged: %w", desc.OptionsFilename, err)
	}
	return nil
}

// verifyLogs reads the write-ahead logs and gives the number of the newest
// change. counter is the tables', least the number that must be there.
func verifyLogs(fs vfs.FS, dir string, counter, least int64, ends *logEnds) (int64, error) {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil {
		return counter, fmt.Errorf("pebblestore: %s: %w", dir, err)
	}
	last, tables := "no .log file is there: the store", counter
	for i, log := range logs {
		_, path := log.SegmentLocation(0)
		before, shortfall := counter, last
		r := log.OpenForRead()
		for {
			rec, offset, err := r.NextRecord()
			var n int64
			if err == nil {
				n, err = changeNumber(rec, ends)
			}
			torn := errors.Is(err, record.ErrUnexpectedEOF)
			if torn && i < len(logs)-1 && counter > tables {
				// A log that others follow was ended properly, unless the tables have all of it.
				return counter, errors.Join(fmt.Errorf("pebblestore: %s is damaged at its end: %w", path, err), r.Close())
			}
			if err == io.EOF || torn {
				break
			}
			if err != nil {
				return counter, errors.Join(fmt.Errorf("pebblestore: %s is damaged at byte %d: %w", path, offset.Physical, err), r.Close())
			}
			if n > counter+1 {
				file := path
				if counter == before {
					file = shortfall
				}
				return counter, errors.Join(fmt.Errorf("pebblestore: %s: %s is damaged: behind change %d comes %d", dir, file, counter, n), r.Close())
			}
			counter = max(counter, n)
		}
		if err := r.Close(); err != nil {
			return counter, fmt.Errorf("pebblestore: %s: %w", path, err)
		}
		last = path
	}
	if counter < least {
		return counter, fmt.Errorf("pebblestore: %s: %s ends at change %d, but %d was durable: it is damaged, or newer .log files are missing; see docs/storage.md", dir, last, counter, least)
	}
	return counter, nil
}

// changeNumber reads the number that every change of ours begins with, and notes in ends what entries it writes.
func changeNumber(rec io.Reader, ends *logEnds) (int64, error) {
	b, err := io.ReadAll(rec)
	if err != nil {
		return 0, err
	}
	r := batchrepr.Read(b)
	_, key, value, ok, err := r.Next()
	if err != nil || !ok || !bytes.Equal(key, keyCounter) || len(value) != 8 {
		return 0, errors.Join(errors.New("a change without its number"), err)
	}
	ends.addChange(r)
	return int64(binary.BigEndian.Uint64(value)), nil
}

// noLogs hides the write-ahead logs, so that Pebble opens what the tables hold alone.
type noLogs struct{ vfs.FS }

func (fs noLogs) Unwrap() vfs.FS { return fs.FS }

func (fs noLogs) List(dir string) ([]string, error) {
	names, err := fs.FS.List(dir)
	kept := names[:0]
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			kept = append(kept, name)
		}
	}
	return kept, err
}

var (
	fileNumber  = regexp.MustCompile(`\b\d{6,}\b`)
	replayedLog = regexp.MustCompile(`replaying wal (\d+)`)
)

// blame makes an error of Pebble's name the file that it is about, where it says only its number.
func blame(fs vfs.FS, dir string, err error) error {
	err = fmt.Errorf("pebblestore: %s: %w", dir, err)
	names, e := fs.List(dir)
	if e != nil {
		return err
	}
	numbers := fileNumber.FindAllString(err.Error(), -1)
	if log := replayedLog.FindStringSubmatch(fmt.Sprintf("%+v", err)); log != nil {
		numbers = append(numbers, fmt.Sprintf("%06s", log[1]))
	}
	for _, number := range numbers {
		for _, name := range names {
			if strings.HasPrefix(name, number+".") && !strings.Contains(err.Error(), name) {
				err = fmt.Errorf("%w (%s)", err, fs.PathJoin(dir, name))
			}
		}
	}
	return err
}

// silent says nothing: what it would say comes back as an error.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
