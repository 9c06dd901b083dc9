package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is the browser's program. Where there is none the test skips, unless
// TROUPE_TEST_NEED names it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "chromium") {
		t.Fatal("there is no chromium, and TROUPE_TEST_NEED says that it is needed")
	}
	t.Skip("there is no chromium here: the page is not tried")
	return ""
}

// startBrowser starts a browser with a profile of its own, and gives the context
// that windows are opened in. The test's end closes it.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800),
		chromedp.Flag("headless", "new"), chromedp.Flag("lang", "en-US"),
	}
	for _, flag := range []string{
		"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "no-default-browser-check", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
		"disable-backgrounding-occluded-windows", "disable-renderer-backgrounding", "disable-background-timer-throttling",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return browser
}

// window is one person's browser window, with nothing in common with the others.
type window struct {
	t   *testing.T
	ctx context.Context
}

// open opens a window on a page that runs as if one looked at it. What the page's
// scripts throw, and what its content security policy refuses, fails the test.
func open(t *testing.T, browser context.Context, url string, more ...chromedp.Action[chromedp.Void]) *window {
	t.Helper()
	watch := chromedp.WithListener(func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *log.EventEntryAdded:
			if e.Entry.Source == log.EntrySourceSecurity || strings.Contains(e.Entry.Text, "Content Security Policy") {
				t.Errorf("the page was refused something: %s", e.Entry.Text)
			}
		}
	})
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), watch)
	t.Cleanup(end)
	w := &window{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // a time limit on the first would be one on the window's life
		t.Fatalf("opening a window: %v", err)
	}
	w.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	w.run(append(more, chromedp.Navigate(url))...)
	return w
}

func (w *window) run(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatalf("%v", err)
	}
}

// get gives what an expression of JavaScript is.
func get[T any](w *window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// do runs statements of JavaScript.
func (w *window) do(script string) {
	w.t.Helper()
	get[bool](w, "(() => { "+script+"; return true })()")
}

// until waits until an expression of JavaScript is true.
func (w *window) until(what, expression string) {
	w.t.Helper()
	var last string
	w.t.Cleanup(func() {
		if w.t.Failed() && last != "" {
			w.t.Logf("the window showed:\n%s", last)
			last = ""
		}
	})
	soon(w.t, what, func() bool {
		ctx, cancel := context.WithTimeout(w.ctx, patience)
		defer cancel()
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
			OK   bool
			Text string
		}](fmt.Sprintf("({OK: !!(%s), Text: document.title + '\\n' + document.body.innerText})", expression)))
		last = seen.Text
		if err == nil && seen.OK {
			last = ""
			return true
		}
		return false
	})
}

// fill types into the field that a selector finds.
func (w *window) fill(selector, text string) {
	w.t.Helper()
	w.run(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press clicks on what a selector finds, as soon as it is there.
func (w *window) press(selector string) {
	w.t.Helper()
	w.until(selector, "document.querySelector("+quoted(selector)+")")
	w.do("document.querySelector(" + quoted(selector) + ").click()")
}

// choose takes the entry of an open menu, or the button of a window, that says text.
func (w *window) choose(text string) {
	w.t.Helper()
	find := "[...document.querySelectorAll('.menu button, dialog button')].find(b => b.textContent === " + quoted(text) + ")"
	w.until(text+" to choose", find)
	w.do("const it = " + find + "; it.focus(); it.click()")
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string is always written
	return string(b)
}

// --- what people do on the page

func (w *window) register(name, nickname string) {
	w.t.Helper()
	w.press("#tab-up")
	w.fill("#username", name)
	w.fill("#nickname", nickname)
	w.fill("#password", "a long password\r")
	w.until(name+" to be online", "document.querySelector('#app').dataset.connection === 'online'")
}

func (w *window) writeTo(name string) {
	w.t.Helper()
	w.press("[data-action=new]")
	w.choose("New chat")
	w.fill("dialog input[name=who]", name+"\r")
	w.until("the conversation with "+name, "document.querySelector('.talk textarea') && !document.querySelector('dialog')")
}

func (w *window) say(text string) {
	w.t.Helper()
	w.fill("textarea[name=message]", text+"\r")
}

// shows waits for a message of this text, and gives its clientMsgId.
func (w *window) shows(text string) string {
	w.t.Helper()
	w.until(fmt.Sprintf("the message %q", text), saying(text))
	return get[string](w, saying(text)+".dataset.clientId")
}

// saying is the expression of the row whose message is text.
func saying(text string) string {
	return "[...document.querySelectorAll('.message[data-client-id]')].find(m => m.querySelector('.text')?.textContent === " + quoted(text) + ")"
}

// texts are all messages of the conversation, in the order they are shown in.
func (w *window) texts() []string {
	w.t.Helper()
	return get[[]string](w, "[...document.querySelectorAll('.message[data-client-id] .text')].map(m => m.textContent)")
}
