package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Where TROUPE_PICTURES names a directory, pictures of the page are put there: both
// widths, both themes, both languages, and what is seldom seen. They are to be looked at.
func TestPicturesOfThePage(t *testing.T) {
	dir := os.Getenv("TROUPE_PICTURES")
	if dir == "" {
		t.Skip("TROUPE_PICTURES names no directory to put pictures of the page in")
	}
	browser := startBrowser(t)
	s := startServer(t, "TROUPE_PROFILE=dev")
	nobody := open(t, browser, s.url, viewport(1280, 800))
	nobody.picture(dir, "sign-in")
	ann, ben := open(t, browser, s.url, viewport(1280, 800)), open(t, browser, s.url, viewport(1280, 800))
	ann.register("maya", "Maya Lindqvist")
	ann.picture(dir, "empty")
	ben.register("jonas", "Jonas Weber")
	long := open(t, browser, s.url, viewport(1280, 800))
	long.register("a.very.long.name.that.does.not.fit", "Wolfeschlegelsteinhausenbergerdorff the Elder of Somewhere")
	mei := open(t, browser, s.url, viewport(1280, 800), language("zh-CN"))
	mei.press("#tab-up")
	mei.fill("#username", "mei")
	mei.fill("#nickname", "陈美")
	mei.fill("#password", "a long password\r")
	mei.until("mei to be online", "document.querySelector('#app').dataset.connection === 'online'")

	ann.press("[data-action=new]")
	ann.choose("New group")
	ann.fill("dialog input[name=title]", "Sunday hike")
	for _, name := range []string{"jonas", "mei"} {
		ann.fill("dialog input[name=member]", name+"\r")
		ann.until(name+" to be picked", "document.querySelector('.picked .chip:last-child') && document.querySelector('dialog input[name=member]').value === ''")
	}
	ann.picture(dir, "new-group")
	ann.choose("Create")
	ann.say("Who is in for the ridge on Sunday?")
	mei.press(".row-main")
	mei.until("the composer", "document.querySelector('textarea')")
	mei.say("我可以！几点出发？")
	ann.shows("我可以！几点出发？")

	ben.writeTo("maya")
	ben.say("Morning! Did the server survive last night?")
	ben.say("I pulled the plug on it twice")
	ann.until("Jonas's row", "document.querySelector('.row-title').textContent === 'Jonas Weber'")
	ann.press(".row-main")
	ann.shows("I pulled the plug on it twice")
	ann.say("It did. Killed mid-send, came back in under a second")
	ann.say("Every message it had acknowledged was still there")
	ben.shows("Every message it had acknowledged was still there")
	ben.press(`.message.other[data-client-id="` + ben.shows("Every message it had acknowledged was still there") + `"] [data-action=message-menu]`)
	ben.press(".menu [data-reaction='🎉']")
	ben.say("And the ones I wrote while it was down?")
	ann.press(`.message.other[data-client-id="` + ann.shows("And the ones I wrote while it was down?") + `"] [data-action=message-menu]`)
	ann.choose("Reply")
	ann.say("Waited in the window, went out once it was back. Once each, I counted.")
	ben.shows("Waited in the window, went out once it was back. Once each, I counted.")
	ben.say("Nevr doubted it")
	ben.press(`.message.own[data-client-id="` + ben.shows("Nevr doubted it") + `"] [data-action=message-menu]`)
	ben.choose("Recall")
	ben.say("Never doubted it 😄 Lunch?")
	ann.shows("Never doubted it 😄 Lunch?")
	mei.say("记得带水，天气会很热 https://example.org/weather")
	ben.fill("textarea", "I know a pl")
	ann.until("typing, and read", "document.querySelector('.is-typing') && !document.querySelector('.message.own:not([data-status=read])')")
	ann.until("the group's badge", "document.querySelector('.badge')")
	ann.picture(dir, "talk")
	left := ann.shot("talk")
	ben.run(viewport(390, 870), theme("dark"))
	ben.until("everything to be read on the phone", "document.querySelector('.message.own')")
	readme(t, browser, filepath.Join(dir, "chat.png"), left, ben.shot("the phone"))
	ben.run(viewport(1280, 800), theme("light"))
	long.writeTo("maya")
	long.say("Thisisonewordthatisfarlongerthananybubblewillevernaturallybeanditmustbebrokensomewhereotherwisethepagescrollssideways https://example.org/a/very/long/path?with=a&query=that&goes=on")
	ann.run(theme("dark"))
	ann.picture(dir, "talk-dark")
	ann.run(theme("light"), viewport(390, 780))
	ann.picture(dir, "phone")
	ann.press("[data-action=back]")
	ann.picture(dir, "phone-list")
	ann.run(theme("dark"))
	ann.picture(dir, "phone-list-dark")
	ann.run(theme("light"), viewport(1280, 800))
	ann.press(".row:first-child .row-main")
	ann.until("the long message", "document.querySelector('.message.other')")
	ann.picture(dir, "long-names")
	ann.run(viewport(320, 640))
	ann.picture(dir, "long-names-narrow")
	if wide := get[int](ann, "document.documentElement.scrollWidth"); wide > 320 {
		t.Errorf("a page in a window of 320 pixels is %d wide", wide)
	}
	mei.picture(dir, "chinese")
	mei.press("[data-action=session-menu]")
	mei.choose("成员")
	mei.until("the names", "document.querySelectorAll('dialog [data-member]').length === 3")
	mei.run(theme("dark"))
	mei.picture(dir, "chinese-members-dark")
	s.kill()
	ben.run(chromedp.SendKeys(chromedp.CSS("textarea"), "ace by the river\r"))
	ben.until("the strip", "!document.querySelector('.connection').hidden && document.querySelector('[data-status=queued]')")
	ben.picture(dir, "broken")
	ben.run(theme("dark"), viewport(390, 780))
	ben.picture(dir, "broken-phone-dark")
}

func (w *window) picture(dir, name string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".png"), w.shot(name), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// shot is the window as it looks when nothing moves any more, as a PNG.
func (w *window) shot(what string) []byte {
	w.t.Helper()
	w.until("the animations to end", "document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)")
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		w.t.Fatalf("a picture of %s: %v", what, err)
	}
	return png
}

// readme puts a desktop's and a phone's window side by side: docs/images/chat.png.
func readme(t *testing.T, browser context.Context, path string, desktop, phone []byte) {
	t.Helper()
	w := open(t, browser, "about:blank", viewport(1600, 800))
	w.do("document.body.style.cssText = 'margin:0;height:800px;display:flex;gap:28px;align-items:center;justify-content:center;background:#e3e7f1'")
	for _, p := range []struct {
		png    []byte
		height int
	}{{desktop, 720}, {phone, 720}} {
		w.do(fmt.Sprintf("const i = new Image(); i.height = %d; i.style.cssText = 'border-radius:18px;box-shadow:0 18px 48px rgb(16 24 40 / .22)'; document.body.append(i); i.src = 'data:image/png;base64,%s'",
			p.height, base64.StdEncoding.EncodeToString(p.png)))
	}
	w.until("both to be shown", "document.images.length === 2 && [...document.images].every(i => i.complete && i.naturalWidth)")
	if err := os.WriteFile(path, w.shot("both"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func viewport(width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.EmulateViewport(width, height)
}

func theme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// language makes a window's navigator.language.
func language(tag string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		agent, err := chromedp.Evaluate[string]("navigator.userAgent")(ctx, t)
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: tag})
		return err
	})
}
