package userctr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Record is one row of the audit log: who did what to whom, and when. It has ids and
// coarse words in it, never names, texts, tokens or passwords.
type Record struct {
	Seq     int64  `json:"seq"` // 1, 2, 3 …
	At      int64  `json:"at"`  // Unix milliseconds
	Action  string `json:"action" doc:"Like sign-in, admin-granted, user-erased"`
	By      string `json:"by,omitempty" doc:"The user, or operator: who runs the server, or server: the server itself, or reviewer: what looks at files for it"`
	About   string `json:"about,omitempty" doc:"The user, session, key or application it was done to"`
	Refused bool   `json:"refused,omitempty" doc:"It was tried, and not done"`
	Count   int64  `json:"count,omitempty" doc:"How often within the minute, when it was more than once"`
	Note    string `json:"note,omitempty"`
	Hash    string `json:"hash" doc:"SHA-256 in hex of the hash before it (32 bytes) and this row as JSON with an empty hash"`
}

// Those who do things and are no user.
const (
	ByOperator = "operator" // at the command line
	ByServer   = "server"
	byReviewer = "reviewer" // as the file centre says it
)

// AuditEnds are the two ends of the audit log as a store has them.
type AuditEnds struct {
	Before int64  `json:"before,omitempty"` // the seq before the oldest row that is kept; 0: nothing was ever removed
	Anchor string `json:"anchor,omitempty"` // the hash of that one
	Last   int64  `json:"last"`             // the newest row's seq, 0: none
	Newest string `json:"newest"`           // its hash
}

// AuditStore keeps the audit log.
type AuditStore interface {
	// AppendAudit makes r the next row: it sets Seq, and Hash by Seal.
	AppendAudit(ctx context.Context, r *Record) error
	// AuditRows calls each with the rows from seq on as they are kept, in order, until it says false.
	AuditRows(ctx context.Context, from int64, each func(seq int64, text []byte) bool) error
	// AuditBack gives up to limit rows with a seq below before, the newest first.
	AuditBack(ctx context.Context, before int64, limit int) ([]*Record, error)
	AuditEnds(ctx context.Context) (AuditEnds, error)
	// PruneAudit removes the rows up to seq upTo and appends r, which says so, in one step.
	PruneAudit(ctx context.Context, upTo int64, r *Record) error
}

// Seal gives a row its hash, which carries on the one before it ("": it is the first).
func Seal(r *Record, before string) {
	r.Hash = ""
	r.Hash = r.chained(before)
}

func (r *Record) chained(before string) string {
	bare := *r
	bare.Hash = ""
	text, err := json.Marshal(&bare)
	if err != nil {
		panic(err) // numbers and texts are always JSON
	}
	var prev [sha256.Size]byte
	_, _ = hex.Decode(prev[:], []byte(before)) // a hash that is none carries on nothing
	sum := sha256.Sum256(append(prev[:], text...))
	return hex.EncodeToString(sum[:])
}

// Checked is what a check of the audit log found.
type Checked struct {
	Rows  int64  `json:"rows"`
	From  int64  `json:"from"`            // the first row's seq
	Last  int64  `json:"last"`            // the newest row's
	Hash  string `json:"hash"`            // of the newest: noted elsewhere, it shows later that nothing was rewritten
	Bad   int64  `json:"bad,omitempty"`   // the first row that is not as it was written, 0: all are
	Wrong string `json:"wrong,omitempty"` // what is wrong there
}

// chain checks rows one after the other.
type chain struct {
	Checked
	started bool
	prev    string
	next    int64
}

// row takes the next row's text. It says whether the row carries on the one before.
func (c *chain) row(text []byte) bool {
	var r Record
	wrong := func(format string, args ...any) bool {
		c.Bad, c.Wrong = max(c.next, 1), fmt.Sprintf(format, args...)
		return false
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return wrong("it is no row")
	}
	if again, err := json.Marshal(&r); err != nil || !bytes.Equal(again, bytes.TrimSpace(text)) {
		return wrong("it is not written as rows are")
	}
	if !c.started {
		c.From, c.started = r.Seq, true
		if c.next == 0 { // an export that begins in the middle has nothing before it to check by
			c.next, c.prev = r.Seq, ""
			if r.Seq != 1 {
				c.prev = "?"
			}
		}
	}
	switch {
	case r.Seq != c.next:
		return wrong("row %d stands where row %d was", r.Seq, c.next)
	case c.prev != "?" && r.Hash != r.chained(c.prev):
		return wrong("its hash does not carry on that of the row before it: it, or that one, was changed")
	}
	c.prev, c.next, c.Last, c.Hash = r.Hash, r.Seq+1, r.Seq, r.Hash
	c.Rows++
	return true
}

// CheckAudit reads the whole audit log and names the first row that is not as it was written.
func CheckAudit(ctx context.Context, s AuditStore) (Checked, error) {
	ends, err := s.AuditEnds(ctx)
	if err != nil {
		return Checked{}, err
	}
	c := &chain{prev: ends.Anchor, next: ends.Before + 1}
	witnessed := ends.Before == 0
	err = s.AuditRows(ctx, 0, func(_ int64, text []byte) bool {
		var r Record
		if json.Unmarshal(text, &r) == nil && r.Action == AuditRemoved && r.Note == RemovedNote(ends.Before, ends.Anchor) {
			witnessed = true
		}
		return c.row(text)
	})
	if err != nil || c.Bad != 0 {
		return c.Checked, err
	}
	switch {
	case c.Last != ends.Last || c.Hash != ends.Newest:
		c.Bad, c.Wrong = c.next, "it is missing: the log was longer"
	case !witnessed:
		c.Bad, c.Wrong = ends.Before+1, "rows before it are gone, and no row says that they were removed"
	}
	return c.Checked, nil
}

// CheckExport is CheckAudit of rows that were exported, one a line. That rows are missing
// at its end shows only beside a hash that was noted elsewhere.
func CheckExport(text []byte) Checked {
	c := &chain{}
	var first Record
	anchors := map[string]bool{} // what rows say that others were removed
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !c.row(line) {
			return c.Checked
		}
		var r Record
		if json.Unmarshal(line, &r) != nil {
			continue // row has read it
		}
		if c.Rows == 1 {
			first = r
		}
		if r.Action == AuditRemoved {
			anchors[r.Note] = true
		}
	}
	switch {
	case c.Rows == 0:
		c.Bad, c.Wrong = 1, "there are no rows"
	case first.Seq != 1:
		before := RemovedNote(first.Seq-1, "")
		c.Bad, c.Wrong = first.Seq, "rows before it are gone, and no row says that they were removed"
		for note := range anchors {
			hash, of := strings.CutPrefix(note, before)
			switch {
			case of && first.chained(hash) == first.Hash:
				c.Bad, c.Wrong = 0, ""
				return c.Checked
			case of:
				c.Wrong = "its hash does not carry on that of the last row that was removed"
			}
		}
	}
	return c.Checked
}

// What the server itself writes into the audit log.
const (
	auditSignIn     = "sign-in"
	auditRegistered = "registered"
	auditMade       = "user-made"
	auditDisabled   = "user-disabled"
	auditEnabled    = "user-enabled"
	auditPassword   = "password-changed"
	auditReset      = "password-reset"
	auditInvite     = "invite-made"
	auditGranted    = "admin-granted"
	auditRevoked    = "admin-revoked"
	auditExported   = "user-exported"
	auditErased     = "user-erased"
	auditRecalled   = "message-recalled"
	auditDissolved  = "session-dissolved"
	auditReleased   = "release-made"
	auditWithdrawn  = "release-withdrawn"
	auditStarted    = "started"
)

// AuditRemoved is the action of the row that says which rows were removed, and
// RemovedNote its note.
const AuditRemoved = "audit-removed"

func adminNote(u *User) string {
	if u.Admin {
		return "administrator"
	}
	return ""
}

func RemovedNote(upTo int64, hash string) string {
	return fmt.Sprintf("up to row %d, hash %s", upTo, hash)
}

// maxNote is in bytes: the settings of a start are the longest.
const maxNote = 4 << 10

// Record writes a row into the audit log; it is durable when Record returns.
func (c *Center) Record(ctx context.Context, r Record) error {
	r.At = c.now().UnixMilli()
	if len(r.Note) > maxNote {
		cut := maxNote
		for !utf8.RuneStart(r.Note[cut]) {
			cut--
		}
		r.Note = r.Note[:cut]
	}
	if err := c.store.AppendAudit(ctx, &r); err != nil {
		return fmt.Errorf("userctr: write the audit log: %w", err)
	}
	return nil
}

// Started writes down that a server began with these settings, in which no secrets are.
func (c *Center) Started(ctx context.Context, version, settings string) error {
	return c.Record(ctx, Record{Action: auditStarted, By: ByServer, About: version, Note: settings})
}

// PruneAudit removes rows that are older than keep, and writes down that it did: the
// row it adds has the hash that the rest carries on.
func (c *Center) PruneAudit(ctx context.Context, keep time.Duration) error {
	if keep <= 0 {
		return nil
	}
	before := c.now().Add(-keep).UnixMilli()
	var last Record
	err := c.store.AuditRows(ctx, 0, func(_ int64, text []byte) bool {
		var r Record
		if json.Unmarshal(text, &r) != nil || r.At >= before {
			return false
		}
		last = r
		return true
	})
	if err != nil || last.Seq == 0 {
		return err
	}
	r := &Record{At: c.now().UnixMilli(), Action: AuditRemoved, By: ByServer, Note: RemovedNote(last.Seq, last.Hash)}
	if err := c.store.PruneAudit(ctx, last.Seq, r); err != nil {
		return fmt.Errorf("userctr: prune the audit log: %w", err)
	}
	return nil
}

// AuditPage gives up to limit rows older than the one before ("" is the newest) and
// where to go on, for those who may read the log.
func (c *Center) AuditPage(ctx context.Context, before int64, limit int) ([]*Record, error) {
	rows, err := c.store.AuditBack(ctx, before, limit)
	if err != nil {
		return nil, fmt.Errorf("userctr: read the audit log: %w", err)
	}
	return rows, nil
}

// CheckAudit is the check of this centre's log.
func (c *Center) CheckAudit(ctx context.Context) (Checked, error) { return CheckAudit(ctx, c.store) }

// ExportAudit calls each with every row as it is kept, oldest first.
func (c *Center) ExportAudit(ctx context.Context, each func(text []byte) error) error {
	var failed error
	err := c.store.AuditRows(ctx, 0, func(_ int64, text []byte) bool {
		failed = each(text)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

// Recalled, Dissolved, Exported, ReleaseMade and ReleaseWithdrawn write down what administrators did elsewhere.
func (c *Center) Recalled(ctx context.Context, by, message string) error {
	return c.Record(ctx, Record{Action: auditRecalled, By: by, About: message})
}

func (c *Center) Dissolved(ctx context.Context, by string, session protocol.SessionID) error {
	return c.Record(ctx, Record{Action: auditDissolved, By: by, About: session})
}

func (c *Center) Exported(ctx context.Context, by string, user protocol.UserID) error {
	return c.Record(ctx, Record{Action: auditExported, By: by, About: user})
}

func (c *Center) ReleaseMade(ctx context.Context, by, release, note string) error {
	return c.Record(ctx, Record{Action: auditReleased, By: by, About: release, Note: note})
}

func (c *Center) ReleaseWithdrawn(ctx context.Context, by, release, note string) error {
	return c.Record(ctx, Record{Action: auditWithdrawn, By: by, About: release, Note: note})
}

// Dealt writes down what by decided of a file: by is a user, or reviewer, the service or
// bot that looks at files for the server.
func (c *Center) Dealt(ctx context.Context, by, file, decision, why string) error {
	return c.Record(ctx, Record{Action: "file-" + decision, By: by, About: file, Note: why})
}

// whom is who an identity is in the audit log.
func whom(who protocol.Identity) string {
	if who.User == "" {
		return ByOperator
	}
	return who.User
}
