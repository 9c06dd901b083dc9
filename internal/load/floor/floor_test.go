package floor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestFloorAcksWhatIsInItsLogAndRelaysIt(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		dir := t.TempDir()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, l, dir, coalesce) }()

		say := func(c *websocket.Conn, b string) {
			if err := c.Write(ctx, websocket.MessageBinary, []byte(b)); err != nil {
				t.Fatal(err)
			}
		}
		hear := func(c *websocket.Conn, want string) {
			t.Helper()
			if _, b, err := c.Read(ctx); err != nil || string(b) != want {
				t.Fatalf("heard %q, %v, want %q", b, err, want)
			}
		}
		var peers [3]*websocket.Conn
		for i := range peers {
			c, _, err := websocket.Dial(ctx, "ws://"+l.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			peers[i] = c
			say(c, "H\x00\x00\x00"+string(rune(i)))
			hear(c, "H")
			say(c, "J\x00\x00\x00\x09")
			hear(c, "J")
		}
		say(peers[0], "S\x00\x00\x00\x01\x00\x00\x00\x07hello")
		hear(peers[0], "A\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x01")
		hear(peers[1], "P\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01hello")
		say(peers[1], "S\x80\x00\x00\x09\x00\x00\x00\x08world")
		hear(peers[1], "A\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01")
		for _, i := range []int{0, 2} {
			hear(peers[i], "P\x80\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01world")
		}
		b, err := os.ReadFile(filepath.Join(dir, "floor.log"))
		if want := "\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00hello\x00\x00\x00\x05\x80\x00\x00\x09\x00\x00\x00\x01world"; err != nil || string(b) != want {
			t.Errorf("log = %q, %v", b, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}
}
