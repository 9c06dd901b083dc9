package actors

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// The fields of an ask.
const (
	askNumber  = 1
	askSession = 2
	askView    = 3 // the version of the View by which it was sent here
	askWhat    = 4 // one of asks
	askFrame   = 5 // as a binary frame; of a whisper, what is whispered
	askWho     = 6 // the identity
	askConn    = 7
	askOther   = 8  // of a petition, the other one of two people
	askAbout   = 9  // of a petition, the request it is about
	askLink    = 10 // of a request by a link's code, the link
	askNotice  = 11 // to whom the installation speaks
	askDrawn   = 12
	askDecree  = 13 // which one
	askUser    = 14
	askThen    = 15 // the user that takes another's place
	askSeq     = 16 // repeated
	askVerdict = 17
	askReason  = 18
	askBehind  = 19 // one that was asked before it, of the same session, has no answer yet
	askUnsure  = 20 // a request that may have been done already
)

// What is asked.
const (
	asksRequest  = 1
	asksPetition = 2
	asksByCode   = 3
	asksDecree   = 4
)

// appendAsk appends an errand as a record.
func appendAsk(b []byte, e *errand, version int64) []byte {
	w := writer{protowire.AppendVarint(b, recordAsk)}
	w.number(askNumber, e.number)
	w.text(askSession, e.session)
	w.number(askView, uint64(version))
	w.flag(askBehind, e.behind)
	asker := func(r *request) {
		w.frame(askFrame, r.frame)
		w.bytes(askWho, appendWho(nil, r.who))
		w.number(askConn, uint64(r.conn))
		if r.notice != nil {
			w.text(askNotice, r.notice.to)
		}
		w.flag(askDrawn, r.drawn)
	}
	switch m := e.m.(type) {
	case *request:
		w.number(askWhat, asksRequest)
		asker(m)
		w.flag(askUnsure, m.unsure || e.given > 0)
	case *petition:
		w.number(askWhat, asksPetition)
		asker(m.r)
		w.text(askOther, m.other)
		if m.about != nil {
			if about, err := proto.Marshal(m.about); err == nil {
				w.bytes(askAbout, about)
			}
		}
	case *byCode:
		w.number(askWhat, asksByCode)
		asker(m.r)
		w.text(askLink, m.link)
	case *decree:
		w.number(askWhat, asksDecree)
		w.number(askDecree, uint64(m.what))
		if m.who != nil {
			w.bytes(askWho, appendWho(nil, m.who))
		}
		w.text(askUser, m.user)
		w.text(askThen, m.then)
		for _, seq := range m.seqs {
			w.number(askSeq, uint64(seq))
		}
		w.text(askVerdict, m.verdict)
		w.text(askReason, m.reason)
		w.frame(askFrame, m.frame)
	}
	return w.b
}

// ask is what was read of an errand of another node's.
type ask struct {
	number  uint64
	session protocol.SessionID
	view    int64
	behind  bool
	m       any // told to the session; without from and told
}

// errNoAsk says that an ask is of a newer version, or damaged.
var errNoAsk = errors.New("actors: an ask that this version does not know")

// readAsk reads what appendAsk appended, without what the record is, and keeps nothing of
// b. With errNoAsk the number is there to be answered, if it was to be read.
func readAsk(b []byte) (*ask, error) {
	a := &ask{}
	var what, edict uint64
	var frame, about []byte
	var other, link, speaksTo, user, then, verdict, reason string
	r, seqs := &request{}, []int64(nil)
	var inner error
	err := peers.Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case askNumber:
			a.number = n
		case askSession:
			a.session = string(text)
		case askView:
			a.view = int64(n)
		case askWhat:
			what = n
		case askFrame:
			frame = text
		case askWho:
			r.who, inner = readWho(text)
		case askConn:
			r.conn = int64(n)
		case askOther:
			other = string(text)
		case askAbout:
			about = text
		case askLink:
			link = string(text)
		case askNotice:
			speaksTo = string(text)
		case askDrawn:
			r.drawn = n != 0
		case askDecree:
			edict = n
		case askUser:
			user = string(text)
		case askThen:
			then = string(text)
		case askSeq:
			seqs = append(seqs, int64(n))
		case askVerdict:
			verdict = string(text)
		case askReason:
			reason = string(text)
		case askBehind:
			a.behind = n != 0
		case askUnsure:
			r.unsure = n != 0
		}
	})
	if err = errors.Join(err, inner); err != nil {
		return a, fmt.Errorf("actors: an ask: %w", err)
	}
	if _, err := protocol.ParseSessionID(a.session); err != nil || a.number == 0 {
		return a, fmt.Errorf("actors: an ask for nobody: %w", errNoAsk)
	}
	if frame != nil {
		r.frame = new(protocol.Frame)
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame, r.frame); err != nil {
			return a, fmt.Errorf("actors: an ask's frame: %w", err)
		}
		if r.frame.Body == nil {
			return a, errNoAsk
		}
	}
	if speaksTo != "" {
		r.notice = &notice{to: speaksTo}
	}
	if what != asksDecree && (r.frame == nil || r.who == nil) {
		return a, errNoAsk
	}
	switch what {
	case asksRequest:
		a.m = r
	case asksPetition:
		p := &petition{r: r, other: other}
		if about != nil {
			p.about = new(protocol.Request)
			if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(about, p.about); err != nil {
				return a, fmt.Errorf("actors: an ask's request: %w", err)
			}
		}
		a.m = p
	case asksByCode:
		a.m = &byCode{r: r, link: link}
	case asksDecree:
		d := &decree{what: edictOf(edict), who: r.who, user: user, then: then, seqs: seqs, verdict: verdict, reason: reason, frame: r.frame}
		if !d.known() {
			return a, errNoAsk
		}
		a.m = d
	default:
		return a, errNoAsk
	}
	return a, nil
}
