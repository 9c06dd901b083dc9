package protocol

import (
	"strings"
	"sync"
)

// DecodeJSON reads one text frame. On failure the error is an *Error, and the
// Frame, where it is not nil, holds the id and a body of the frame's type as far
// as they can be read, so that the answer can carry them. A frame of an unknown
// type fails with UNKNOWN_TYPE and has its id. Nothing of data is kept.
func DecodeJSON(data []byte) (*Frame, error) {
	r := readers.Get().(*reader)
	r.data = data
	f, err := r.decode()
	r.free()
	return f, err
}

// readers are used again, as one would be a twentieth of what a message allocates.
var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) free() {
	scratch := r.scratch
	if cap(scratch) > 1<<10 {
		scratch = nil
	}
	*r = reader{scratch: scratch}
	readers.Put(r)
}

func (r *reader) decode() (*Frame, error) {
	data := r.data
	typ, id := r.firstType(), ""
	if typ == nil {
		typ, id = peek(data)
	}
	f, body := start(typ)
	if f == nil {
		if typ != nil {
			_, id = peek(data)
		}
		return &Frame{Id: id}, unknownType(data, typ)
	}
	r.pos, r.depth, r.err = 0, 0, nil
	r.frame(f, body)
	if r.err != nil {
		failed, _ := start(typ)
		_, failed.Id = peek(data)
		return failed, r.fault(failed.Type())
	}
	return f, nil
}

// firstType gives the frame's type where it is the first field, which costs
// nothing to look at; else nil.
func (r *reader) firstType() []byte {
	if !r.open('{', "an object is needed") || !r.more(true, '}') {
		return nil
	}
	if key := r.key(); string(key) == "type" && r.space() == '"' {
		return r.text()
	}
	return nil
}

// peek looks for the first type and the first id at the top of a text, as far as
// it is JSON; nil, "": there is none.
func peek(data []byte) (typ []byte, id string) {
	r := reader{data: data}
	if !r.open('{', "an object is needed") {
		return nil, ""
	}
	for first := true; r.more(first, '}'); first = false {
		switch key := r.key(); {
		case typ == nil && string(key) == "type" && r.space() == '"':
			if s := r.text(); r.err == nil {
				typ = append([]byte{}, s...)
			}
		case id == "" && string(key) == "id" && r.space() == '"':
			if s := r.string(); r.err == nil {
				id = s
			}
		default:
			r.skip()
		}
	}
	return typ, id
}

// unknownType says what is wrong with a frame that has no known type: it is not
// JSON, it has no type, or it is newer than we are.
func unknownType(data, typ []byte) *Error {
	r := reader{data: data}
	if r.space() != '{' {
		r.wrong("an object is needed")
	}
	r.skip()
	r.end()
	switch {
	case r.err != nil:
		return r.err
	case typ == nil:
		return BadRequest("type: a string is needed")
	}
	return Errorf(Code_UNKNOWN_TYPE, "unknown type %s", shortened(string(typ)))
}

// The fields of every frame, in JSON.
var envelopeNames = []string{"type", "id", "errcode", "code", "error", "retryAfterMs", "messagesendId", "offset"}

const (
	envelopeType = iota
	envelopeID
	envelopeErrcode
	envelopeCode
	envelopeError
	envelopeRetryAfterMs
	envelopeMessagesendID
	envelopeOffset
)

func envelopeField(key []byte) int {
	switch string(key) {
	case "type":
		return envelopeType
	case "id":
		return envelopeID
	case "errcode":
		return envelopeErrcode
	case "code":
		return envelopeCode
	case "error":
		return envelopeError
	case "retryAfterMs":
		return envelopeRetryAfterMs
	case "messagesendId":
		return envelopeMessagesendID
	case "offset":
		return envelopeOffset
	}
	return -1
}

func (r *reader) envelope(f *Frame, field int) {
	switch field {
	case envelopeType:
		_ = r.string() // start knew it
	case envelopeID:
		f.Id = r.string()
	case envelopeErrcode:
		f.Errcode = r.int32()
	case envelopeCode:
		f.Code = r.string()
	case envelopeError:
		f.Error = r.string()
	case envelopeRetryAfterMs:
		f.RetryAfterMs = r.int()
	case envelopeMessagesendID:
		f.MessagesendId = r.string()
	case envelopeOffset:
		f.Offset = r.int()
	}
}

// frame reads the whole text into f and its body, which is of the right type already.
// A body's field hides the envelope's of the same name.
func (r *reader) frame(f *Frame, body fields) {
	if !r.open('{', "an object is needed") {
		return
	}
	var seen, present, seenEnvelope uint64
	var others keys
	for first := true; r.more(first, '}'); first = false {
		key := r.key()
		if r.err != nil {
			return
		}
		if i := body.fieldOf(key); i >= 0 {
			if r.once(&seen, i) && !r.null() {
				body.readField(r, i)
				present |= 1 << i
			}
			if r.err != nil {
				r.at(body.names()[i])
				return
			}
		} else if i := envelopeField(key); i >= 0 {
			if r.once(&seenEnvelope, i) && !r.null() {
				r.envelope(f, i)
			}
			if r.err != nil {
				r.at(envelopeNames[i])
				return
			}
		} else {
			r.other(key, &others, body.names(), envelopeNames)
		}
	}
	r.end()
	if failing(f) {
		empty(f)
		return
	}
	r.missing(body, present)
	r.blank(body)
}

// failing says whether f is an answer that tells of a failure: it has no fields
// but the envelope's.
func failing(f *Frame) bool {
	return f.Errcode != 0 && (IsReply(f) || f.GetFault() != nil)
}

func empty(f *Frame) {
	fresh, _ := start([]byte(f.Type()))
	f.Body = fresh.Body
}

// blank refuses a request one of whose needed strings is empty: in protobuf that
// is the same as its absence.
func (r *reader) blank(body fields) {
	if b, ok := body.(interface{ blank() string }); ok && r.err == nil {
		if name := b.blank(); name != "" {
			r.bad("may not be empty")
			r.at(name)
		}
	}
}

// AppendJSON appends f as one JSON object: type and id first, then the envelope,
// the body's fields in the order of troupe.proto, and the tail.
func AppendJSON(b []byte, f *Frame) []byte {
	b = appendHead(b, f)
	if f.MessagesendId != "" {
		if _, body := f.body(); body == nil || body.fieldOf([]byte("messagesendId")) < 0 {
			b = appendString(append(b, `,"messagesendId":`...), f.MessagesendId)
		}
	}
	return appendOffset(b, f, f.Offset)
}

// appendHead appends f without the tail and the closing brace.
func appendHead(b []byte, f *Frame) []byte {
	typ, body := f.body()
	b = append(b, `{"type":"`...)
	b = append(b, typ...)
	b = append(b, '"')
	if f.Id != "" {
		b = appendString(append(b, `,"id":`...), f.Id)
	}
	if f.Errcode != 0 || strings.HasSuffix(typ, "_reply") {
		b = appendInt(append(b, `,"errcode":`...), int64(f.Errcode))
	}
	if f.Code != "" {
		b = appendString(append(b, `,"code":`...), f.Code)
	}
	if f.Error != "" {
		b = appendString(append(b, `,"error":`...), f.Error)
	}
	if f.RetryAfterMs != 0 {
		b = appendInt(append(b, `,"retryAfterMs":`...), f.RetryAfterMs)
	}
	if body != nil && !failing(f) {
		b = body.appendFields(b)
	}
	return b
}

// appendOffset appends the end of a frame. An auth_reply says its offset even when it is 0.
func appendOffset(b []byte, f *Frame, offset int64) []byte {
	if _, ok := f.Body.(*Frame_AuthReply); offset != 0 || ok && f.Errcode == 0 {
		b = appendInt(append(b, `,"offset":`...), offset)
	}
	return append(b, '}')
}
