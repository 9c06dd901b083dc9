package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// unmapProgram takes out of this process's memory what is mapped of the program's file: code
// and constants, most of which only starting up needed, and of which the kernel maps 16 pages
// for each one that is asked for (fault_around_bytes). What is used comes back from the page
// cache, at a minor fault for each 64 KiB. Only mappings that cannot be written and that nobody
// has written to go: see madvise(2), MADV_DONTNEED.
func unmapProgram() error {
	all, err := programMappings()
	for _, m := range all {
		if m.own || err != nil {
			continue
		}
		if _, _, fault := syscall.RawSyscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED); fault != 0 {
			err = fault
		}
	}
	if err != nil {
		return fmt.Errorf("unmapping the program: %w", err)
	}
	return nil
}

// mapping is a part of the program's file in this process's memory that cannot be written.
type mapping struct {
	from, to uintptr
	resident int64 // bytes
	own      bool  // some of it is not the file's: what the loader wrote before it was closed for writing
}

func programMappings() (all []mapping, err error) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var now *mapping
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		if name, isSize := strings.CutSuffix(words[0], ":"); isSize {
			if now == nil {
				continue
			}
			switch kb, _ := strconv.ParseInt(words[1], 10, 64); name { // what is no number is nothing we ask for
			case "Rss":
				now.resident = kb << 10
			case "Anonymous":
				now.own = kb > 0
			}
			continue
		}
		now = nil
		from, to, _ := strings.Cut(words[0], "-")
		if !strings.HasSuffix(line, " "+program) || strings.Contains(words[1], "w") {
			continue
		}
		m := mapping{}
		for text, at := range map[string]*uintptr{from: &m.from, to: &m.to} {
			n, err := strconv.ParseUint(text, 16, 64)
			if err != nil {
				return nil, fmt.Errorf("/proc/self/smaps: %q", line)
			}
			*at = uintptr(n)
		}
		all = append(all, m)
		now = &all[len(all)-1]
	}
	return all, lines.Err()
}
