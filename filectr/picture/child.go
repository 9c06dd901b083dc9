package picture

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

// A picture is decoded by a child: this program, started again with one argument. It
// gets the picture and the files to write as open files, knows nothing else, and has
// bounds of memory and time where the system can set them (Linux). A decoder that is
// led astray by what somebody made ends the child, and the picture is refused.

// childArg is the child's only argument.
const childArg = "look-at-the-picture-in-file-3"

// Bounds of the child.
const (
	childMemory = 1536 << 20 // bytes of address space beyond what a fresh process has: 40 megapixels, progressive, need about 700 MiB
	childCPU    = 20         // seconds
	childWhole  = 60 * time.Second
	childFile   = 512 << 20 // bytes of a file that it writes
)

// The child does its work before anything else of the program begins, whichever
// program that is: the server, or a test of it.
func init() {
	if len(os.Args) == 2 && os.Args[1] == childArg {
		os.Exit(child())
	}
}

// answer is what the child says on its standard output.
type answer struct {
	Result   Result
	Error    string // "": the Result is good
	TooLarge bool
}

func child() int {
	if err := bound(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(childMemory * 3 / 4)
	in, err := io.ReadAll(os.NewFile(3, "picture"))
	if err != nil {
		return 1
	}
	var a answer
	var out outputs
	if a.Result, out, err = render(in); err != nil {
		a.Error, a.TooLarge = err.Error(), errors.Is(err, ErrTooLarge)
	} else {
		for i, data := range [][]byte{out.clean, out.small, out.large} {
			if _, err := os.NewFile(uintptr(4+i), "output").Write(data); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return 1
	}
	return 0
}

// ErrRefused says that a picture is not one that can be shown, and why.
type ErrRefused struct {
	Reason   string
	TooLarge bool
}

func (e *ErrRefused) Error() string { return e.Reason }

// Look has a child look at the picture in the file in, and write the cleaned picture
// and smaller ones into clean, small and large. *ErrRefused: it is none, or is over a
// bound, also of the child's memory or time.
func Look(ctx context.Context, in, clean, small, large *os.File) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, childWhole)
	defer cancel()
	self := "/proc/self/exe" // also when the program's file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return Result{}, err
		}
	}
	cmd := exec.CommandContext(ctx, self, childArg)
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{in, clean, small, large}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &head1k{&said}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && ctx.Err() != context.Canceled:
		return Result{}, &ErrRefused{Reason: "the picture cannot be decoded within bounds"}
	case err != nil:
		return Result{}, fmt.Errorf("picture: the child: %w", err)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return Result{}, fmt.Errorf("picture: the child said %.100q: %w", out.Bytes(), err)
	}
	if a.Error != "" {
		return Result{}, &ErrRefused{Reason: a.Error, TooLarge: a.TooLarge}
	}
	return a.Result, nil
}

// head1k keeps the first of what is written to it.
type head1k struct{ b *bytes.Buffer }

func (h *head1k) Write(p []byte) (int, error) {
	if room := 1024 - h.b.Len(); room > 0 {
		h.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
