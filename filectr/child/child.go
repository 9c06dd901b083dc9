// Package child has what anybody may have made decoded by a child process: this
// program, started again with one argument. It gets its input and outputs as open
// files, knows nothing else, and has bounds of memory and time where the system can
// set them (Linux). A decoder that is led astray ends the child, and the file is refused.
package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"
)

// Bounds of a child.
const (
	memory = 1536 << 20 // bytes of address space beyond what a fresh process has: a picture of 40 megapixels, progressive, needs about 700 MiB
	cpu    = 20         // seconds
	whole  = 60 * time.Second
	file   = 512 << 20 // bytes of a file that it writes
)

// prefix begins a child's only argument; what it is to do stands behind.
const prefix = "child-process:"

// answer is what a child says on its standard output.
type answer struct {
	Result   json.RawMessage
	Error    string // "": the Result is good
	TooLarge bool
}

// ErrTooLarge says, in work's error, that something is over a bound.
var ErrTooLarge = errors.New("too large")

// Serve is called by a package's init: in a child that was started to do what it is
// called, it does work and ends the process, before anything else of the program
// begins, whichever program that is; elsewhere it does nothing.
func Serve(called string, work func(in io.Reader, outs []io.Writer) (any, error)) {
	if len(os.Args) != 2 || os.Args[1] != prefix+called {
		return
	}
	os.Exit(serve(work))
}

func serve(work func(in io.Reader, outs []io.Writer) (any, error)) int {
	if err := bound(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(memory * 3 / 4)
	outs := make([]io.Writer, 3)
	for i := range outs {
		outs[i] = os.NewFile(uintptr(4+i), "output")
	}
	var a answer
	result, err := work(os.NewFile(3, "input"), outs)
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	if err != nil {
		a.Error, a.TooLarge = err.Error(), errors.Is(err, ErrTooLarge)
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return 1
	}
	return 0
}

// Refused says that what was given to a child is not what it should be, or is over
// a bound, also of the child's memory or time.
type Refused struct {
	Reason   string
	TooLarge bool
}

func (e *Refused) Error() string { return e.Reason }

// Run has a child do what is called so with in, writing to outs, three at most, and
// gives its result. *Refused: it could not.
func Run(ctx context.Context, called string, result any, in *os.File, outs ...*os.File) error {
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	self := "/proc/self/exe" // also when the program's file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, self, prefix+called)
	cmd.Env = []string{}
	cmd.ExtraFiles = append([]*os.File{in}, outs...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && ctx.Err() != context.Canceled:
		return &Refused{Reason: "it cannot be decoded within bounds"}
	case err != nil:
		return fmt.Errorf("child: %s: %w", called, err)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return fmt.Errorf("child: %s: %w", called, err)
	}
	if a.Error != "" {
		return &Refused{Reason: a.Error, TooLarge: a.TooLarge}
	}
	return json.Unmarshal(a.Result, result)
}
