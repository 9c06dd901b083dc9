package protocol

import "strings"

// IsRequest says whether f is a frame that a client sends and that is answered.
func IsRequest(f *Frame) bool {
	_, ok := answers[f.Type()]
	return ok
}

// IsReply says whether f answers a request: errcode is always written in it.
func IsReply(f *Frame) bool { return strings.HasSuffix(f.Type(), "_reply") }

// Fail makes the failing answer to req: the same type's answer, or an error frame
// where req is nil or its type is not a request's, with req's id. What err tells
// the client is AsError's to decide.
func Fail(req *Frame, err error) *Frame {
	e := AsError(err)
	f, _ := start([]byte(answers[req.Type()]))
	if f == nil {
		f = &Frame{Body: &Frame_Fault{Fault: &Fault{}}}
	}
	f.Id = req.GetId()
	f.Errcode = int32(e.Code)
	f.Code = e.Code.Word()
	f.Error = e.Detail
	f.RetryAfterMs = e.RetryAfterMs
	return f
}

// Err gives a failing answer back as the *Error it was made of, else nil.
func (f *Frame) Err() *Error {
	if f.GetErrcode() == 0 {
		return nil
	}
	return &Error{Code: Code(f.Errcode), Detail: f.Error, RetryAfterMs: f.RetryAfterMs}
}

// Type is the frame's type, "" where it has no body.
func (f *Frame) Type() string {
	typ, _ := f.body()
	return typ
}
