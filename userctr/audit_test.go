package userctr_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// lines is the audit log as it is exported.
func (b *bench) lines() []string {
	b.t.Helper()
	var all []string
	if err := b.ExportAudit(b.t.Context(), func(text []byte) error { all = append(all, string(text)); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bench) actions() string {
	b.t.Helper()
	rows, err := b.AuditPage(b.t.Context(), 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	for i := len(rows) - 1; i >= 0; i-- {
		words = append(words, rows[i].Action)
	}
	return strings.Join(words, " ")
}

func TestTheAuditLogSaysWhatWasDone(t *testing.T) {
	b := start(t, nil)
	root := b.admin()
	ann := b.signUp("ann")
	rootID := b.who(root.Token)
	if err := b.Disable(t.Context(), rootID, ann.User.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := b.Disable(t.Context(), rootID, ann.User.ID, false); err != nil {
		t.Fatal(err)
	}
	fresh, err := b.ResetPassword(t.Context(), rootID.User, ann.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Login(t.Context(), "ann", fresh, userctr.Client{}); err != nil {
		t.Errorf("the new password is no good: %v", err)
	}
	if _, err := b.SetAdmin(t.Context(), rootID.User, ann.User.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetAdmin(t.Context(), ann.User.ID, rootID.User, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetAdmin(t.Context(), rootID.User, ann.User.ID, false); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("the last administrator is taken away: %v", err)
	}
	want := "user-made sign-in registered sign-in user-disabled user-enabled password-reset sign-in admin-granted admin-revoked"
	if got := b.actions(); got != want {
		t.Errorf("the audit log has\n%s\nwant\n%s", got, want)
	}
	for _, secret := range []string{"ann\"", password, fresh, root.Refresh, root.Token} {
		if strings.Contains(strings.Join(b.lines(), "\n"), secret) {
			t.Errorf("the audit log has %q in it", secret)
		}
	}
}

func TestAdministratorsAreHuman(t *testing.T) {
	b := start(t, nil)
	root := b.who(b.admin().Token)
	_, k, err := b.MakeKey(t.Context(), root, "the shop", []string{"users"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := b.actions()
	for _, by := range []string{root.User, userctr.ByOperator} {
		if _, err := b.SetAdmin(t.Context(), by, k.User, true); !protocol.Code_CONFLICT.Is(err) {
			t.Errorf("%s makes a key's own user an administrator: %v", by, err)
		}
	}
	if got := b.actions(); got != before {
		t.Errorf("the audit log has\n%s\nwant\n%s", got, before)
	}
}

func TestRefusalsAreCountedInTheAuditLog(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann")
	for range 3 {
		if _, err := b.Login(t.Context(), "ann", "not the password", userctr.Client{}); err == nil {
			t.Fatal("a wrong password is right")
		}
	}
	if _, _, err := b.MakeInvite(t.Context(), b.who(ann.Token), 1, time.Hour); !protocol.Code_DENIED.Is(err) {
		t.Fatalf("ann makes an invitation: %v", err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := b.Run(over); err != nil { // what was counted is written at the end
		t.Fatal(err)
	}
	text := strings.Join(b.lines(), "\n")
	for _, want := range []string{
		fmt.Sprintf(`"action":"sign-in","about":%q,"refused":true,"count":3`, ann.User.ID),
		fmt.Sprintf(`"action":"make invitations","by":%q,"refused":true`, ann.User.ID),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit log has no %s:\n%s", want, text)
		}
	}
}

func TestAChangedLineIsNamed(t *testing.T) {
	b := start(t, nil)
	for i := range 9 {
		b.signUp(fmt.Sprint("user", i))
	}
	lines := b.lines()
	export := func(lines []string) userctr.Checked { return userctr.CheckExport([]byte(strings.Join(lines, "\n"))) }
	if found := export(lines); found.Bad != 0 || found.Rows != int64(len(lines)) {
		t.Fatalf("an honest export is %+v", found)
	}
	if found := export(lines[4:]); found.Bad != 5 || found.Wrong == "" {
		t.Errorf("an export without its first four rows is %+v", found)
	}
	if found := export(nil); found.Bad != 1 || found.Wrong == "" {
		t.Errorf("an export without rows is %+v", found)
	}
	with := func(i int, line string) []string {
		all := append([]string{}, lines...)
		all[i] = line
		return all
	}
	for name, c := range map[string]struct {
		lines []string
		bad   int64
	}{
		"another who":       {with(6, strings.Replace(lines[6], `"by":"u_`, `"by":"u_x`, 1)), 7},
		"another hash":      {with(6, lines[6][:len(lines[6])-6]+`0000"}`), 7},
		"a field more":      {with(6, strings.Replace(lines[6], `{`, `{"x":1,`, 1)), 7},
		"a row less":        {append(append([]string{}, lines[:6]...), lines[7:]...), 7},
		"no JSON":           {with(6, "nothing"), 7},
		"two in each other": {with(6, lines[7]), 7},
	} {
		if found := export(c.lines); found.Bad != c.bad || found.Wrong == "" {
			t.Errorf("%s: %+v, want row %d named", name, found, c.bad)
		}
	}
}

func TestOldAuditRowsGoAndTheRestIsStillProved(t *testing.T) {
	b := start(t, nil)
	b.signUp("ann")
	b.pass(48 * time.Hour)
	b.signUp("bob")
	before := len(b.lines())
	if err := b.PruneAudit(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if after := b.lines(); len(after) != before-2+1 || !bytes.Contains([]byte(after[len(after)-1]), []byte("audit-removed")) {
		t.Errorf("after the removal the log is %v", after)
	}
	if found, err := b.CheckAudit(t.Context()); err != nil || found.Bad != 0 || found.From != 3 {
		t.Errorf("the rest is %+v, %v", found, err)
	}
	lines := b.lines()
	whole := strings.Join(lines, "\n")
	if found := userctr.CheckExport([]byte(whole)); found.Bad != 0 || found.From != 3 {
		t.Errorf("an export of the rest is %+v", found)
	}
	if found := userctr.CheckExport([]byte(strings.Join(lines[1:], "\n"))); found.Bad != 4 {
		t.Errorf("an export of the rest without its first row is %+v", found)
	}
	changed := strings.Replace(lines[0], `"by":"u_`, `"by":"u_x`, 1)
	if found := userctr.CheckExport([]byte(strings.Join(append([]string{changed}, lines[1:]...), "\n"))); changed == lines[0] || found.Bad != 3 {
		t.Errorf("an export of the rest with its first row changed is %+v", found)
	}
	if err := b.PruneAudit(t.Context(), 0); err != nil || len(b.lines()) != before-1 {
		t.Error("what is to be kept for ever was removed")
	}
}
