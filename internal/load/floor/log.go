package floor

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"
)

// record is one message on its way through the log.
type record struct {
	from *peer
	to   uint32
	id   uint32
	body []byte
}

// log is an append-only file with group commit: one committer takes whatever
// queued while the last sync ran, without a timer, and one reporter tells about
// the last batch while the next one is being synced.
type log struct {
	file    *os.File
	deliver func([]*record)

	mu      sync.Mutex
	wake    sync.Cond
	queue   []*record
	stopped bool

	done    chan []*record
	stopDue sync.WaitGroup
}

func startLog(file *os.File, deliver func([]*record)) *log {
	l := &log{file: file, deliver: deliver, done: make(chan []*record, 1)}
	l.wake.L = &l.mu
	l.stopDue.Add(2)
	go l.commit()
	go l.report()
	return l
}

func (l *log) append(r *record) {
	l.mu.Lock()
	l.queue = append(l.queue, r)
	if len(l.queue) == 1 {
		l.wake.Signal()
	}
	l.mu.Unlock()
}

func (l *log) stop() {
	l.mu.Lock()
	l.stopped = true
	l.wake.Signal()
	l.mu.Unlock()
	l.stopDue.Wait()
}

func (l *log) commit() {
	defer l.stopDue.Done()
	defer close(l.done)
	var out []byte
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.stopped {
			l.wake.Wait()
		}
		if l.stopped {
			l.mu.Unlock()
			return
		}
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()

		out = out[:0]
		for _, r := range batch {
			out = binary.BigEndian.AppendUint32(out, uint32(len(r.body)))
			out = binary.BigEndian.AppendUint32(out, r.to)
			out = binary.BigEndian.AppendUint32(out, r.from.user)
			out = append(out, r.body...)
		}
		if _, err := l.file.Write(out); err != nil {
			panic(err) // a floor without its disk measures nothing
		}
		if err := syscall.Fdatasync(int(l.file.Fd())); err != nil {
			panic(err)
		}
		l.done <- batch
	}
}

func (l *log) report() {
	defer l.stopDue.Done()
	for batch := range l.done {
		l.deliver(batch)
	}
}
