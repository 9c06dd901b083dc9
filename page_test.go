package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTwoWindowsChatOnThePageThroughAKill(t *testing.T) {
	browser := startBrowser(t)
	s := startServer(t, "TROUPE_PROFILE=dev")
	ann, bob := open(t, browser, s.url), open(t, browser, s.url)
	ann.register("ann", "Ann Lee")
	bob.register("bob", "Bob")

	ann.writeTo("bob")
	ann.say("Hello Bob")
	ann.shows("Hello Bob")
	bob.until("the unread badge", "document.querySelector('.row[data-unread=\"1\"] .badge')?.textContent === '1' && document.title === '(1) Troupe'")
	bob.until("who wrote, and what", "document.querySelector('.row-title').textContent === 'Ann Lee' && document.querySelector('.row-last').textContent === 'Hello Bob'")
	ann.until("delivered", saying("Hello Bob")+"?.dataset.status === 'delivered'")

	bob.press(".row-main")
	bob.shows("Hello Bob")
	bob.until("nothing unread", "document.querySelector('.row').dataset.unread === '0' && document.title === 'Troupe'")
	ann.until("read", saying("Hello Bob")+"?.dataset.status === 'read'")

	bob.fill("textarea[name=message]", "Hello")
	ann.until("the other is typing", "document.querySelector('.message.is-typing') && document.querySelector('.row-last').textContent === 'typing…'")
	bob.say(" Ann")
	ann.shows("Hello Ann")
	ann.until("the typing to end", "!document.querySelector('.message.is-typing')")

	const nasty = "<img src=x onerror=alert(1)> <b>bold</b>"
	bob.say(nasty)
	ann.shows(nasty)
	if n := get[int](ann, "document.querySelectorAll('.log img, .log .text b').length"); n != 0 {
		t.Errorf("%d elements were made of what somebody wrote", n)
	}

	ann.say("A slip")
	bob.shows("A slip")
	ann.press(`.message.own[data-client-id="` + ann.shows("A slip") + `"] [data-action=message-menu]`)
	ann.choose("Recall")
	bob.until("the recall", "[...document.querySelectorAll('.system')].some(e => e.textContent === 'Ann Lee recalled a message') && !"+saying("A slip"))
	ann.until("one's own recall", "[...document.querySelectorAll('.system')].some(e => e.textContent.startsWith('You recalled a message'))")

	ann.press(`.message.other[data-client-id="` + ann.shows("Hello Ann") + `"] [data-action=message-menu]`)
	ann.press(".menu [data-reaction='👍']")
	bob.until("the reaction", "document.querySelector('.message.own .reaction')?.textContent === '👍1'")

	before := ann.texts()
	ann.run(chromedp.Reload())
	ann.until("everything to be back after a reload", "document.querySelector('#app').dataset.connection === 'online' && document.querySelectorAll('.message[data-client-id]').length === 3")
	if after := ann.texts(); !slices.Equal(before, after) {
		t.Errorf("after a reload the conversation is %q, before it was %q", after, before)
	}

	s.kill()
	ann.until("the break to be noticed", "document.querySelector('#app').dataset.connection !== 'online'")
	bob.until("the break to be noticed", "document.querySelector('#app').dataset.connection !== 'online'")
	ann.say("Written while it was down")
	ann.until("waiting", saying("Written while it was down")+"?.dataset.status === 'queued'")
	bob.say("Me too")
	s.start()
	for _, w := range []*window{ann, bob} {
		w.until("the connection to be back", "document.querySelector('#app').dataset.connection === 'online'")
		w.shows("Written while it was down")
		w.shows("Me too")
		w.until("nothing to be waiting", "!document.querySelector('.message[data-status=queued], .message[data-status=sending]')")
	}
	bob.say("Still here")
	ann.shows("Still here")
	a, b := ann.texts(), bob.texts()
	if !slices.Equal(a, b) || len(a) != 6 {
		t.Errorf("after the kill one sees %q, the other %q", a, b)
	}
}

func TestAGroupOnThePageHasMembersWhoComeAndGo(t *testing.T) {
	browser := startBrowser(t)
	s := startServer(t, "TROUPE_PROFILE=dev")
	ann, bob := open(t, browser, s.url), open(t, browser, s.url)
	ann.register("ann", "Ann")
	bob.register("bob", "Bob")

	ann.press("[data-action=new-group]")
	ann.fill("dialog input[name=title]", "Hikers")
	ann.fill("dialog input[name=member]", "bob\r")
	ann.until("bob to be picked", "document.querySelector('.picked .chip')")
	ann.choose("Create")
	ann.say("Sunday?")
	bob.until("the group", "document.querySelector('.row-title')?.textContent === 'Hikers' && document.querySelector('.row').dataset.unread === '1'")
	bob.press(".row .icon-button")
	bob.choose("Pin")
	bob.until("the pin", "document.querySelector('.row').dataset.sticky === 'true'")
	bob.press(".row-main")
	bob.shows("Sunday?")

	ann.press("[data-action=session-menu]")
	ann.choose("Members")
	ann.press("dialog [aria-label='Remove Bob']")
	bob.until("the group to be gone", "!document.querySelector('.row') && !document.querySelector('.talk')")
	ann.until("the removal", "document.querySelectorAll('dialog [data-member]').length === 1")
	ann.fill("dialog input[name=member]", "bob")
	ann.choose("Done")
	ann.until("two members", "document.querySelector('.talk-sub').textContent === '2 members'")
	bob.until("the group to be back", "document.querySelector('.row-title')?.textContent === 'Hikers'")
}

func TestAWindowKeepsAndRenewsItsLoginUntilItIsSignedOut(t *testing.T) {
	browser := startBrowser(t)
	s := startServer(t, "TROUPE_PROFILE=dev")
	ann, bob := open(t, browser, s.url), open(t, browser, s.url)
	ann.register("ann", "Ann")
	bob.register("bob", "Bob")
	ann.writeTo("bob")
	const token = "JSON.parse(sessionStorage['troupe.login']).token"
	for _, is := range []string{"renewAt", "goodUntil"} { // to be renewed while it is used, and before it can be
		old := get[string](ann, token)
		ann.do("sessionStorage['troupe.login'] = JSON.stringify({...JSON.parse(sessionStorage['troupe.login']), " + is + ": 0})")
		ann.run(chromedp.Reload())
		ann.until("another token", token+" !== "+quoted(old)+" && document.querySelector('#app').dataset.connection === 'online' && document.querySelector('.talk textarea')")
		ann.say("After " + is)
		ann.until("the message to be out", saying("After "+is)+"?.dataset.status === 'delivered'")
	}

	ann.press(`.message.own[data-client-id="` + ann.shows("After renewAt") + `"] [data-action=message-menu]`)
	ann.choose("Edit")
	ann.fill("textarea[name=message]", ", edited\r")
	bob.press(".row-main")
	bob.shows("After renewAt, edited")

	ann.press(".me")
	ann.choose("Sign out")
	ann.until("the sign-in", "document.querySelector('#tab-in').getAttribute('aria-selected') === 'true' && !sessionStorage['troupe.login']")
	ann.fill("#password", "a wrong password\r")
	ann.until("a refusal", "document.querySelector('.error').textContent === 'Name or password is wrong'")
	ann.do("document.querySelector('#password').value = ''")
	ann.fill("#password", "a long password\r")
	ann.until("to be back", "document.querySelector('.row-last')?.textContent === 'After goodUntil'")
}

// The answer to one's own message may come before the messages of others that stand before it.
func TestOwnMessageStaysInViewWhileOthersAreMissing(t *testing.T) {
	w := open(t, startBrowser(t), startServer(t, "TROUPE_PROFILE=dev").url)
	w.do(`Promise.all([import('/plain/log.js'), import('/plain/outbox.js')]).then(async ([{ Log, blank }, { Outbox }]) => {
		const s = Object.assign(blank('s'), { entries: new Map() })
		const chat = { me: 'ann', ready: true, sessions: new Map([['s', s]]), on: { changed() {} }, waits: () => true, later() {}, received() {} }
		const theirs = seq => ({ seq, sender: 'bob', clientMsgId: 'b' + seq, content: {} })
		chat.wire = { online: true, request: async type => type === 'msg_send' ? { seq: 3, messagerecvId: 's.3', createdAt: 1 } : { messages: [theirs(1), theirs(2)] } }
		chat.outbox = new Outbox(chat)
		chat.log = new Log(chat)
		const shown = () => [...s.entries.values()].map(e => e.seq).concat(chat.outbox.of('s').map(i => i.state)).join()
		const steps = []
		chat.outbox.send('s', { type: 'text', text: 'hi' })
		steps.push(shown())
		await new Promise(r => setTimeout(r))
		steps.push(shown())
		await chat.log.repair(s)
		steps.push(shown())
		window.steps = steps.join(' ')
	}).catch(e => { window.steps = String(e) })`)
	w.until("the hole to be closed", "window.steps")
	if got := get[string](w, "window.steps"); got != "sending sent 1,2,3" {
		t.Errorf("shown were %q", got)
	}
}

func TestHistoryIsReadUpwardsWithoutAJump(t *testing.T) {
	browser := startBrowser(t)
	s := startServer(t, "TROUPE_PROFILE=dev")
	ann, bob := open(t, browser, s.url), open(t, browser, s.url)
	ann.register("ann", "Ann")
	bob.register("bob", "Bob")
	ann.writeTo("bob")
	p := s.join(get[string](ann, "JSON.parse(sessionStorage['troupe.login']).userId"), "elsewhere")
	session := get[string](ann, "document.querySelector('.talk').dataset.session")
	const all = 180
	for n := range all {
		p.say(session, fmt.Sprint("m", n), fmt.Sprintf("Message number %d of many", n+1))
	}
	ann.shows(fmt.Sprintf("Message number %d of many", all))

	bob.until("all to be unread", "document.querySelector('.row')?.dataset.unread === '180' && document.querySelector('.badge').textContent === '99+'")
	bob.press(".row-main")
	bob.until("the unread line", "document.querySelector('.unread-line')")
	bob.run(chromedp.Reload())
	bob.until("the conversation", "document.querySelectorAll('.message').length >= 50")
	const first = "[...document.querySelectorAll('.log .message')].find(m => m.getBoundingClientRect().bottom > document.querySelector('.log').getBoundingClientRect().top)"
	for get[int](bob, "document.querySelectorAll('.log .message').length") < all {
		had := get[int](bob, "document.querySelectorAll('.log .message').length")
		bob.do("document.querySelector('.log').scrollTop = 300; window.watched = " + first + "; window.was = watched.getBoundingClientRect().top")
		bob.until("more of the history", fmt.Sprintf("document.querySelectorAll('.log .message').length > %d", had))
		if moved := get[float64](bob, "Math.abs(watched.getBoundingClientRect().top - was)"); moved > 1 {
			t.Errorf("what was looked at moved by %v pixels", moved)
		}
	}
}

func TestThePageMayOnlyLoadItsOwnFiles(t *testing.T) {
	s := startServer(t)
	res, err := http.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !strings.Contains(string(body), "<title>Troupe</title>") {
		t.Fatalf("the page is %q, %v", body, err)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'self'", "connect-src 'self' ws://" + s.listen} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q has no %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy %q allows what is unsafe", policy)
	}
	again, err := http.NewRequest("GET", s.url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("If-None-Match", res.Header.Get("ETag"))
	if res, err = http.DefaultClient.Do(again); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotModified {
		t.Errorf("asked again for what it has, a browser gets %s", res.Status)
	}
}
