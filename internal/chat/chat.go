// Package chat is `troupe chat`: a small terminal client. On a terminal it edits
// lines and shows what arrives above them; with anything else as input it takes
// commands line by line, for scripts.
package chat

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/protocol"
)

const usage = `usage: troupe chat --user NAME [flags]

Signs in, and asks for the password; with --register makes the user first. /help in
the chat says what can be typed. When standard input is not a terminal, it is read
line by line, and its end ends the chat.

`

type options struct {
	url, user, password, token, code, device string
	passwordStdin, register, binary          bool
}

// lines is where a person's lines come from and what is shown goes to.
type lines interface {
	io.Writer
	ReadLine() (string, error)
	ReadPassword(prompt string) (string, error)
	SetPrompt(string)
}

// Main runs `troupe chat` with the arguments behind that word.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	o := &options{}
	f := flag.NewFlagSet("troupe chat", flag.ContinueOnError)
	f.SetOutput(stdout)
	f.Usage = func() {
		fmt.Fprint(stdout, usage)
		f.PrintDefaults()
	}
	f.StringVar(&o.url, "url", "http://127.0.0.1:8080", "the server")
	f.StringVar(&o.user, "user", "", "the name to sign in with")
	f.StringVar(&o.token, "token", os.Getenv("TROUPE_TOKEN"), "an access token instead of name and password")
	f.BoolVar(&o.passwordStdin, "password-stdin", false, "the first line of standard input is the password")
	f.BoolVar(&o.register, "register", false, "make the user first")
	f.StringVar(&o.code, "code", "", "with --register: an invitation code")
	f.StringVar(&o.device, "device", deviceName(), "this device's name, by which the server knows what it has got")
	f.BoolVar(&o.binary, "binary", false, "speak protobuf instead of JSON")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.user == "" && o.token == "" {
		return errors.New("--user NAME, or --token")
	}
	in, restore, err := input(stdin, stdout)
	if err != nil {
		return err
	}
	defer restore()
	return run(ctx, o, in)
}

// deviceName is stable per terminal window, so that two windows are two devices.
func deviceName() string {
	tty, _ := os.Readlink("/proc/self/fd/0")
	if strings.HasPrefix(tty, "/dev/pts/") {
		return "terminal-" + filepath.Base(tty)
	}
	return "terminal"
}

// input is the terminal behind stdin, or plain lines.
func input(stdin io.Reader, stdout io.Writer) (lines, func(), error) {
	file, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &plain{in: bufio.NewReader(stdin), out: stdout}, func() {}, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return nil, nil, err
	}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{stdin, stdout}, "")
	if w, h, err := term.GetSize(int(file.Fd())); err == nil {
		t.SetSize(w, h)
	}
	return t, func() { term.Restore(int(file.Fd()), before) }, nil
}

// plain is lines without a terminal.
type plain struct {
	in  *bufio.Reader
	mu  sync.Mutex
	out io.Writer
}

func (p *plain) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// ReadLine gives io.EOF behind the last line.
func (p *plain) ReadLine() (string, error) {
	s, err := p.in.ReadString('\n')
	if err != nil && s == "" {
		return "", err
	}
	return strings.TrimRight(s, "\r\n"), nil
}

func (p *plain) ReadPassword(string) (string, error) { return p.ReadLine() }
func (p *plain) SetPrompt(string)                    {}

func run(ctx context.Context, o *options, in lines) error {
	rest, err := client.NewREST(o.url)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newChat(rest, in)
	cfg := client.Config{
		URL: o.url, Token: o.token, Device: o.device, Platform: "terminal", Binary: o.binary, Handler: c.handle,
	}
	if o.token == "" {
		login, err := signIn(ctx, o, rest, in)
		if err != nil {
			return err
		}
		cfg.Token, cfg.Refresh = login.Token, c.refresher(login)
	}
	c.token = cfg.Token
	if c.client, err = client.Open(ctx, cfg); err != nil {
		return err
	}
	defer c.client.Close()
	c.watchKeys()
	c.begin()

	read := make(chan string)
	ended := make(chan error, 1)
	go func() {
		for {
			line, err := in.ReadLine()
			if err != nil {
				ended <- err
				return
			}
			select {
			case read <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case line := <-read:
			if err := c.line(ctx, line); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				c.say("! %s", explain(err))
			}
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-c.client.Done():
			return c.client.Err()
		case <-ctx.Done():
			return nil
		}
	}
}

// explain is an error as a person should read it.
func explain(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}

// signIn gets a token for o.user, asking for what is missing.
func signIn(ctx context.Context, o *options, rest *client.REST, in lines) (*client.Login, error) {
	password, err := in.ReadPassword("Password of " + o.user + ": ")
	if err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	cred := client.Credentials{Name: o.user, Password: password, Device: o.device, Platform: "terminal"}
	if o.register {
		cred.Code = o.code
		return rest.Register(ctx, cred)
	}
	login, err := rest.Login(ctx, cred)
	if _, script := in.(*plain); script || !protocol.Code_UNAUTHORIZED.Is(err) {
		return login, err
	}
	in.SetPrompt("Wrong, or there is no such user. Register " + o.user + " with this password? [y/N] ")
	answer, err := in.ReadLine()
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
		return nil, errors.New("not signed in")
	}
	return rest.Register(ctx, cred)
}

// refresher trades the refresh token, each of which is good once.
func (c *chat) refresher(login *client.Login) func(context.Context) (string, error) {
	next := login.RefreshToken
	return func(ctx context.Context) (string, error) {
		l, err := c.rest.Refresh(ctx, next)
		if err != nil {
			return "", err
		}
		next = l.RefreshToken
		c.mu.Lock()
		c.token = l.Token
		c.mu.Unlock()
		return l.Token, nil
	}
}

// typingEvery is how often others are told that this person types.
const typingEvery = 3 * time.Second

// watchKeys tells the others about typing, where keys can be seen.
func (c *chat) watchKeys() {
	t, ok := c.in.(*term.Terminal)
	if !ok {
		return
	}
	var last time.Time
	t.AutoCompleteCallback = func(line string, _ int, key rune) (string, int, bool) {
		if key >= ' ' && !strings.HasPrefix(line+string(key), "/") && time.Since(last) > typingEvery {
			last = time.Now()
			go c.typing()
		}
		return "", 0, false
	}
}
