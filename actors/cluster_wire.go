package actors

import (
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
	recordInquiry = 7 // asked of the node itself
	recordFound   = 8 // answered to one
	recordProbe   = 9 // nothing: that it is taken is a sign of life
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
