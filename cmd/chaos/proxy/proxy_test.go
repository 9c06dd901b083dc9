package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers each line with itself, and tells what it was asked.
func echo(t *testing.T) (string, chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					asked <- lines.Text()
					if _, err := io.WriteString(c, lines.Text()+"\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), asked
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, l *Link) *client {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for the next line, or with "" for the end.
func (c *client) hears(want string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := c.r.ReadString('\n')
	if want == "" {
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("heard %q, %v, want the end", line, err)
		}
		return
	}
	if err != nil || line != want+"\n" {
		c.t.Fatalf("heard %q, %v, want %q", line, err, want)
	}
}

func link(t *testing.T, target string) *Link {
	t.Helper()
	l, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestAnOpenAndASlowLinkPassEverything(t *testing.T) {
	target, _ := echo(t)
	l := link(t, target)
	c := dial(t, l)
	c.say("one")
	c.hears("one")
	l.Set(Slow)
	c.say("two")
	c.hears("two")
}

func TestACutLinkEndsWhatThereIsAndComesBack(t *testing.T) {
	target, _ := echo(t)
	l := link(t, target)
	c := dial(t, l)
	c.say("one")
	c.hears("one")
	l.Set(Cut)
	c.hears("")
	dial(t, l).hears("")
	l.Set(Open)
	c = dial(t, l)
	c.say("two")
	c.hears("two")
}

func TestASilentLinkTellsNobodyAndGoesOn(t *testing.T) {
	target, asked := echo(t)
	l := link(t, target)
	c := dial(t, l)
	c.say("one")
	c.hears("one")
	<-asked
	l.Set(Silent)
	late := dial(t, l)
	c.say("two")
	late.say("three")
	select {
	case line := <-asked:
		t.Errorf("%q passed", line)
	default:
	}
	l.Set(Open)
	c.hears("two")
	late.hears("three")
}

func TestAMuteLinkPassesWhatIsAskedAlone(t *testing.T) {
	target, asked := echo(t)
	l := link(t, target)
	c := dial(t, l)
	c.say("one")
	c.hears("one")
	<-asked
	l.Set(Mute)
	c.say("two")
	if line := <-asked; line != "two" {
		t.Errorf("%q was asked", line)
	}
	l.Set(Open)
	c.hears("two")
}

func TestASwallowingLinkEndsInsteadOfAnAnswer(t *testing.T) {
	target, asked := echo(t)
	l := link(t, target)
	c := dial(t, l)
	l.Set(Swallow)
	c.say("one")
	if line := <-asked; line != "one" {
		t.Errorf("%q was asked", line)
	}
	c.hears("")
}

func TestAClosedLinkHoldsNobody(t *testing.T) {
	target, _ := echo(t)
	l := link(t, target)
	c := dial(t, l)
	c.say("one")
	c.hears("one")
	l.Set(Silent)
	c.say("two")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.hears("")
}
