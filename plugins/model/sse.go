package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// maxLine is in bytes of one line of a stream. A whole answer in one line is some 100 KiB.
const maxLine = 1 << 20

var errLine = errors.New("a line of the stream is too long")

// events reads server-sent events, as the standard has them and as providers write them:
// without a space, without the empty line between two, with comments and names anywhere.
type events struct {
	r     *bufio.Reader
	alive func() // called with every line, be it a comment
	name  string
	data  []byte
	have  bool
	ahead []byte // the data of the next event, that has begun
}

func newEvents(r io.Reader, alive func()) *events {
	return &events{r: bufio.NewReaderSize(r, 16<<10), alive: alive}
}

// next gives the next event with data; io.EOF is the end of the stream, whatever it is worth.
func (e *events) next() (name string, data []byte, err error) {
	if e.ahead != nil {
		e.data, e.have, e.ahead = e.ahead, true, nil
	}
	for {
		line, err := e.line()
		if err != nil {
			if e.have && err == io.EOF { // the last event need not have an empty line behind it
				return e.take()
			}
			return "", nil, err
		}
		e.alive()
		if len(line) == 0 {
			if e.have {
				return e.take()
			}
			e.name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if e.have && whole(e.data) { // another event, without an empty line before it
				e.ahead = append([]byte{}, value...)
				return e.take()
			}
			if e.have {
				e.data = append(e.data, '\n')
			}
			e.data, e.have = append(e.data, value...), true
		case "event":
			e.name = string(value)
		}
	}
}

func (e *events) take() (string, []byte, error) {
	name, data := e.name, e.data
	e.name, e.data, e.have = "", nil, false
	return name, data, nil
}

func whole(data []byte) bool { return isDone(data) || json.Valid(data) }

func isDone(data []byte) bool { return string(bytes.TrimSpace(data)) == "[DONE]" }

func (e *events) line() ([]byte, error) {
	var long []byte
	for {
		part, err := e.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull || err == io.EOF && len(part) > 0 {
			if long = append(long, part...); len(long) > maxLine {
				return nil, errLine
			}
			continue
		}
		if err == io.EOF && len(long) > 0 {
			return bytes.TrimRight(long, "\r\n"), nil
		}
		if err != nil {
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		return bytes.TrimRight(part, "\r\n"), nil
	}
}
