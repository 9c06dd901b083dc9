package pebblestore

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// format is the number of the rows' layout, which keys.go and rows.go say.
const format = 1

// Rows of tableMeta.
var (
	keyFormat     = rowKey(tableMeta, "format")      // the layout of all rows, 8 bytes
	keyCounter    = rowKey(tableMeta, "counter")     // the number of the newest change, 8 bytes: see mark.go
	keyLogEpoch   = rowKey(tableMeta, "log epoch")   // every log's epoch, a text
	keyEpochFloor = rowKey(tableMeta, "epoch floor") // what every activation's epoch was raised to, 8 bytes: see backup.go
	keyRestored   = rowKey(tableMeta, "restored")    // the backup whose restoring this store knows of, a text: see backup.go
)

// newID is 128 random bits as text.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// readMeta reads what this store says of itself, and says it first if it is new.
func (s *Store) readMeta() error {
	counter, err := s.now().number(keyCounter)
	if err != nil {
		return err
	}
	s.counter = counter
	if s.epochFloor, err = s.now().number(keyEpochFloor); err != nil {
		return err
	}
	made, err := s.now().number(keyFormat)
	if err != nil {
		return err
	}
	if made > format {
		return fmt.Errorf("pebblestore: %s was written by a newer version of this program (format %d, this one knows %d)", s.dir, made, format)
	}
	epoch, found, err := s.get(keyLogEpoch)
	if err != nil {
		return err
	}
	if found {
		s.logEpoch = string(epoch)
		return nil
	}
	s.logEpoch = newID()
	return s.update(func(t *tx) error {
		t.put(keyFormat, number(format))
		t.put(keyLogEpoch, []byte(s.logEpoch))
		return nil
	})
}
