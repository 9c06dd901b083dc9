package mongostore

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// wire is between a store and its database, message by message, and does to them what
// a network and a replica set do.
type wire struct {
	l      net.Listener
	server string

	mu   sync.Mutex
	do   func(command, collection string) fault
	done map[fault]int
	open map[net.Conn]bool
}

type fault int

const (
	none       fault = iota
	broken           // the request does not arrive
	swallowed        // it is done, and the answer does not arrive
	notPrimary       // it is refused, as there is a new primary
	steppedOut       // it is done, and the answer says that the primary stepped down meanwhile
	unsettled        // it is done, and the answer says that not enough nodes have it yet
	faults
)

// wireTo gives a wire to a server's host:port.
func wireTo(t testing.TB, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, server: server, done: map[fault]int{}, open: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.open[c] = true
			w.mu.Unlock()
			all.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		for c := range w.open {
			c.Close()
		}
		w.mu.Unlock()
		all.Wait()
	})
	return w
}

// uri is uri by way of the wire.
func (w *wire) uri(uri string) string {
	return strings.Replace(uri, w.server, w.l.Addr().String(), 1) + "?directConnection=true"
}

// on says what to do to commands from now on, nil: nothing.
func (w *wire) on(do func(command, collection string) fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.do = do
}

func (w *wire) fault(command, collection string) fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.do == nil {
		return none
	}
	f := w.do(command, collection)
	w.done[f]++
	return f
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		f := none
		if command, collection, ok := commandOf(request); ok {
			f = w.fault(command, collection)
		}
		switch f {
		case broken:
			return
		case notPrimary:
			if _, err := client.Write(refusal(request, 10107, "NotWritablePrimary")); err != nil {
				return
			}
			continue
		}
		if _, err := server.Write(request); err != nil {
			return
		}
		reply, err := readMessage(server)
		if err != nil {
			return
		}
		switch f {
		case swallowed:
			return
		case steppedOut:
			reply = refusal(request, 11602, "InterruptedDueToReplStateChange")
		case unsettled:
			reply = withConcern(reply)
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

const opMsg = 2013

func readMessage(from io.Reader) ([]byte, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < 16 || n > 64<<20 {
		return nil, errors.New("no message of MongoDB's")
	}
	m := append(head, make([]byte, n-16)...)
	_, err := io.ReadFull(from, m[16:])
	return m, err
}

// commandOf reads the name of an OP_MSG's command, and what collection it is about.
func commandOf(m []byte) (command, collection string, ok bool) {
	if binary.LittleEndian.Uint32(m[12:]) != opMsg || len(m) < 26 || m[20] != 0 {
		return "", "", false
	}
	all, err := bsoncore.Document(m[21:]).Elements()
	if err != nil || len(all) == 0 {
		return "", "", false
	}
	collection, _ = all[0].Value().StringValueOK()
	return all[0].Key(), collection, true
}

func answer(request []byte, body []byte) []byte {
	m := make([]byte, 21, 21+len(body))
	binary.LittleEndian.PutUint32(m, uint32(21+len(body)))
	copy(m[8:12], request[4:8])
	binary.LittleEndian.PutUint32(m[12:], opMsg)
	return append(m, body...)
}

func refusal(request []byte, code int32, name string) []byte {
	body, _ := bson.Marshal(bson.D{eq("ok", float64(0)), eq("code", code), eq("codeName", name), eq("errmsg", "there is another primary")})
	return answer(request, body)
}

func withConcern(reply []byte) []byte {
	var body bson.D
	if bson.Unmarshal(reply[21:], &body) != nil {
		return reply
	}
	b, _ := bson.Marshal(append(body, eq("writeConcernError", bson.D{eq("code", int32(64)), eq("codeName", "WriteConcernTimeout"), eq("errmsg", "waiting for replication timed out")})))
	m := answer(reply, b)
	copy(m[8:12], reply[8:12])
	return m
}
