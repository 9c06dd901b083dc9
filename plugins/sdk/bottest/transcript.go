package bottest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// write adds a line of the bot's to the transcript.
func (w *world) write(format string, args ...any) {
	fmt.Fprintf(&w.script, "  bot: %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n       "))
}

func (w *world) heard(who, format string, args ...any) {
	fmt.Fprintf(&w.script, "%s: %s\n", who, fmt.Sprintf(format, args...))
}

// shown is a message as a reader sees it: a card with its rows and buttons.
func (w *world) shown(m *Message) string {
	k := m.card()
	switch {
	case m.Recalled:
		return "(taken back)"
	case k == nil && m.Finish != "" && m.Finish != "stop":
		return m.Text + " (" + m.Finish + ")"
	case k == nil:
		return m.Text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]", k.Title)
	if k.Text != "" {
		fmt.Fprintf(&b, " %s", k.Text)
	}
	for _, r := range k.Rows {
		fmt.Fprintf(&b, "\n| %s | %s", r.Label, r.Value)
	}
	if k.Form != nil {
		for _, f := range k.Form.Fields {
			fmt.Fprintf(&b, "\n? %s (%s)", f.Label, f.Type)
		}
	}
	var buttons []string
	for _, button := range k.Buttons {
		buttons = append(buttons, "<"+button.Label+">")
	}
	if len(buttons) > 0 {
		b.WriteString("\n" + strings.Join(buttons, " "))
	}
	if k.Done != nil {
		fmt.Fprintf(&b, "\n(done: %s)", k.Done.Action)
	}
	return b.String()
}

// Transcript is all that was said in all sessions, one line after the other.
func (h *Host) Transcript() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.script.String()
}

// Golden compares the transcript with a file, or writes it where BOTTEST_UPDATE is set.
func (h *Host) Golden(path string) {
	h.t.Helper()
	compare(h.t, path, h.Transcript())
}

func compare(t testing.TB, path, got string) {
	t.Helper()
	if os.Getenv("BOTTEST_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\nBOTTEST_UPDATE=1 go test writes it", err)
	}
	if strings.ReplaceAll(string(want), "\r\n", "\n") != got {
		t.Errorf("%s is not what was said, which was\n%s", path, got)
	}
}
