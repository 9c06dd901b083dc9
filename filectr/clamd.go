package filectr

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// clamdWithin is how long clamd may take for a file.
const clamdWithin = 2 * time.Minute

// errNotWhole says that clamd did not look at all of a file: it, or what is packed in it,
// is over one of clamd's own bounds.
var errNotWhole = errors.New("clamd does not look at all of it")

// overBound begins what clamd names where it is told to by AlertExceedsMax, instead of
// saying that it found nothing in what it did not look at.
const overBound = "Heuristics.Limits.Exceeded"

// scan has clamd look at a file, before anybody can read it, by its command INSTREAM
// (clamd(8)): chunks with their lengths, an empty one at the end, and one line as the
// answer. UNSUPPORTED: it found something; TOO_LARGE: it did not look at all of it, and
// never will; BUSY: it could not be asked.
func (c *Center) scan(ctx context.Context, path string) error {
	if c.cfg.Clamd == "" {
		return nil
	}
	found, err := clamd(ctx, c.cfg.Clamd, path)
	switch {
	case errors.Is(err, errNotWhole):
		c.log.Warn("clamd does not look at a file as large as this, so it is not taken: see docs/files.md, Malware", "clamd", c.cfg.Clamd, "err", err)
		return protocol.TooLarge("the file, or what is packed in it, is larger than what can be checked here")
	case err != nil:
		c.log.Error("clamd could not be asked, so no file is taken", "clamd", c.cfg.Clamd, "err", err)
		return protocol.Errorf(protocol.Code_BUSY, "files cannot be checked now")
	case found != "":
		c.log.Warn("clamd refused a file", "found", found)
		return protocol.Errorf(protocol.Code_UNSUPPORTED, "the file is refused, as %q was found in it", found)
	}
	return nil
}

// clamd gives the name of what was found in a file, "" for nothing. errNotWhole.
func clamd(ctx context.Context, address, path string) (found string, err error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(clamdWithin)); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sent := stream(conn, f) // clamd may answer, and hang up, before it has all
	line, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString(0)
	if err != nil {
		return "", errors.Join(sent, err)
	}
	line = strings.TrimSuffix(strings.TrimPrefix(line, "stream: "), "\x00")
	name, ok := strings.CutSuffix(line, " FOUND")
	if strings.HasPrefix(name, overBound) || strings.HasPrefix(line, "INSTREAM size limit exceeded") {
		return "", fmt.Errorf("%w: %.200q", errNotWhole, line)
	}
	if ok {
		return name, nil
	}
	if line != "OK" || sent != nil {
		return "", fmt.Errorf("clamd said %.200q: %w", line, sent)
	}
	return "", nil
}

func stream(conn net.Conn, f *os.File) error {
	if _, err := io.WriteString(conn, "zINSTREAM\x00"); err != nil {
		return err
	}
	chunk := make([]byte, 4+64<<10)
	for {
		n, err := f.Read(chunk[4:])
		if err != nil && err != io.EOF {
			return err
		}
		binary.BigEndian.PutUint32(chunk, uint32(n)) // 0 at the end
		if _, e := conn.Write(chunk[:4+n]); e != nil || n == 0 {
			return e
		}
	}
}
