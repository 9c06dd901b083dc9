package actors

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// What nodes say to each other about sessions, as records of internal/peers: a number
// that says what it is, and fields in protobuf's encoding. As with events, numbers and
// what they mean stay as they are for ever, and what a node does not know it passes over.
const (
	recordAsk     = 1 // told to a session, and to be answered
	recordAnswers = 2
	recordRefusal = 3 // the sessions of these asks are not here
	recordDraft   = 4 // told to a session, with no answer
	recordOut     = 5 // a word: the node of this id has been given up
	recordLook    = 6 // a word: somebody came, or leaves
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
)

// What is asked.
const (
	asksRequest  = 1
	asksPetition = 2
	asksByCode   = 3
	asksDecree   = 4
)

// The fields of an answer, one of several in a record.
const (
	answersOne = 1 // repeated, in the record

	answerNumber = 1
	answerFrame  = 2 // none: done, or the error
	answerCode   = 3
	answerDetail = 4
	answerRetry  = 5
)

// The fields of an identity.
const (
	whoUser     = 1
	whoDevice   = 2
	whoLogin    = 3
	whoPlatform = 4
	whoVersion  = 5
	whoExpires  = 6 // Unix milliseconds
	whoLeeway   = 7 // nanoseconds
	whoAdmin    = 8
	whoKind     = 9
	whoApp      = 10
	whoScope    = 11 // repeated
	whoScoped   = 12 // Scopes is not nil
)

// The fields of a draft.
const (
	draftSession = 1
	draftBot     = 2
	draftStream  = 3
	draftReplyTo = 4
	draftAt      = 5
	draftText    = 6
	draftOver    = 7
)

// writer appends fields; zero values are left out.
type writer struct{ b []byte }

func (w *writer) number(field protowire.Number, n uint64) {
	if n != 0 {
		w.b = protowire.AppendTag(w.b, field, protowire.VarintType)
		w.b = protowire.AppendVarint(w.b, n)
	}
}

func (w *writer) flag(field protowire.Number, is bool) {
	if is {
		w.number(field, 1)
	}
}

func (w *writer) text(field protowire.Number, s string) {
	if s != "" {
		w.b = protowire.AppendTag(w.b, field, protowire.BytesType)
		w.b = protowire.AppendString(w.b, s)
	}
}

func (w *writer) bytes(field protowire.Number, b []byte) {
	w.b = protowire.AppendTag(w.b, field, protowire.BytesType)
	w.b = protowire.AppendBytes(w.b, b)
}

func (w *writer) frame(field protowire.Number, f *protocol.Frame) {
	if f != nil {
		w.bytes(field, protocol.AppendBinary(nil, f))
	}
}

// recordOf is what a record is, and its fields; 0: it cannot be read.
func recordOf(record []byte) (what uint64, fields []byte) {
	what, n := protowire.ConsumeVarint(record)
	if n < 0 {
		return 0, nil
	}
	return what, record[n:]
}

func appendWho(b []byte, who *protocol.Identity) []byte {
	w := writer{b}
	w.text(whoUser, who.User)
	w.text(whoDevice, who.Device)
	w.text(whoLogin, who.Login)
	w.text(whoPlatform, who.Platform)
	w.text(whoVersion, who.Version)
	if !who.Expires.IsZero() {
		w.number(whoExpires, uint64(who.Expires.UnixMilli()))
	}
	w.number(whoLeeway, uint64(who.Leeway))
	w.flag(whoAdmin, who.Admin)
	w.text(whoKind, who.Kind)
	w.text(whoApp, who.App)
	w.flag(whoScoped, who.Scopes != nil)
	for _, s := range who.Scopes {
		w.bytes(whoScope, []byte(s))
	}
	return w.b
}

func readWho(b []byte) (*protocol.Identity, error) {
	who := &protocol.Identity{}
	err := peers.Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case whoUser:
			who.User = string(text)
		case whoDevice:
			who.Device = string(text)
		case whoLogin:
			who.Login = string(text)
		case whoPlatform:
			who.Platform = string(text)
		case whoVersion:
			who.Version = string(text)
		case whoExpires:
			who.Expires = time.UnixMilli(int64(n))
		case whoLeeway:
			who.Leeway = time.Duration(n)
		case whoAdmin:
			who.Admin = n != 0
		case whoKind:
			who.Kind = string(text)
		case whoApp:
			who.App = string(text)
		case whoScoped:
			if who.Scopes == nil && n != 0 {
				who.Scopes = []string{}
			}
		case whoScope:
			who.Scopes = append(who.Scopes, string(text))
		}
	})
	return who, err
}

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

// answer is what became of an errand.
type answer struct {
	number uint64
	frame  *protocol.Frame // nil: done, or err
	err    *protocol.Error
}

// to is the answer as a frame for whoever sent f.
func (a *answer) to(f *protocol.Frame) *protocol.Frame {
	switch {
	case a.frame != nil:
		a.frame.Id = f.Id
		return a.frame
	case a.err != nil:
		return protocol.Fail(f, a.err)
	}
	return protocol.Fail(f, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
}

func appendAnswers(b []byte, all []answer) []byte {
	w := writer{protowire.AppendVarint(b, recordAnswers)}
	for _, a := range all {
		var one writer
		one.number(answerNumber, a.number)
		one.frame(answerFrame, a.frame)
		if a.err != nil {
			one.number(answerCode, uint64(a.err.Code))
			one.text(answerDetail, a.err.Detail)
			one.number(answerRetry, uint64(a.err.RetryAfterMs))
		}
		w.bytes(answersOne, one.b)
	}
	return w.b
}

// readAnswers reads what appendAnswers appended, without what the record is. What it
// cannot read of them is answered as an internal error.
func readAnswers(b []byte) (all []answer, err error) {
	err = peers.Fields(b, func(field protowire.Number, _ uint64, text []byte) {
		if field != answersOne {
			return
		}
		var a answer
		var e protocol.Error
		if peers.Fields(text, func(field protowire.Number, n uint64, text []byte) {
			switch field {
			case answerNumber:
				a.number = n
			case answerFrame:
				f := new(protocol.Frame)
				if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, f); err == nil && f.Body != nil {
					a.frame = f
				} else {
					e = protocol.Error{Code: protocol.Code_INTERNAL, Detail: "internal error"}
				}
			case answerCode:
				e.Code = protocol.Code(n)
			case answerDetail:
				e.Detail = string(text)
			case answerRetry:
				e.RetryAfterMs = int64(n)
			}
		}) != nil {
			return
		}
		if e.Code != 0 {
			a.frame, a.err = nil, &protocol.Error{Code: e.Code, Detail: e.Detail, RetryAfterMs: e.RetryAfterMs}
		}
		all = append(all, a)
	})
	return all, err
}

func appendRefusal(b []byte, numbers ...uint64) []byte {
	w := writer{protowire.AppendVarint(b, recordRefusal)}
	for _, n := range numbers {
		w.number(askNumber, n)
	}
	return w.b
}

func readRefusal(b []byte) (numbers []uint64, err error) {
	err = peers.Fields(b, func(field protowire.Number, n uint64, _ []byte) {
		if field == askNumber {
			numbers = append(numbers, n)
		}
	})
	return numbers, err
}

func appendOut(b []byte, id string) []byte {
	w := writer{protowire.AppendVarint(b, recordOut)}
	w.text(1, id)
	return w.b
}

func appendDraft(b []byte, d *Draft) []byte {
	w := writer{protowire.AppendVarint(b, recordDraft)}
	w.text(draftSession, d.Session)
	w.text(draftBot, d.Bot)
	w.text(draftStream, d.Stream)
	w.text(draftReplyTo, d.ReplyTo)
	w.number(draftAt, uint64(d.At))
	w.text(draftText, d.Text)
	w.text(draftOver, d.Over)
	return w.b
}

func readDraft(b []byte) (*Draft, error) {
	d := &Draft{}
	err := peers.Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case draftSession:
			d.Session = string(text)
		case draftBot:
			d.Bot = string(text)
		case draftStream:
			d.Stream = string(text)
		case draftReplyTo:
			d.ReplyTo = string(text)
		case draftAt:
			d.At = int64(n)
		case draftText:
			d.Text = string(text)
		case draftOver:
			d.Over = string(text)
		}
	})
	if err != nil {
		return nil, err
	}
	_, err = protocol.ParseSessionID(d.Session)
	return d, err
}
