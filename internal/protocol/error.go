package protocol

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The error table: Code's options in troupe.proto, read once, at the first use: the
// descriptors are not there yet when this package's variables are made.
var codes = sync.OnceValue(func() map[Code]codeRow {
	rows := map[Code]codeRow{}
	values := Code(0).Descriptor().Values()
	for i := range values.Len() {
		v := values.Get(i)
		rows[Code(v.Number())] = codeRow{
			word:   string(v.Name()),
			status: int(codeOption(v, E_Http)),
			close:  int(codeOption(v, E_Close)),
		}
	}
	return rows
})

type codeRow struct {
	word   string
	status int
	close  int
}

func codeOption(v protoreflect.EnumValueDescriptor, x protoreflect.ExtensionType) int32 {
	return proto.GetExtension(v.Options(), x).(int32)
}

// Word is the code as a client sees it, like NOT_FOUND.
func (c Code) Word() string { return codes()[c].word }

// HTTPStatus is the status of a REST answer that fails with this code.
func (c Code) HTTPStatus() int { return codes()[c].status }

// CloseCode is the WebSocket close code that goes with this code, 0 where the connection lives.
func (c Code) CloseCode() int { return codes()[c].close }

// Error makes *Error an error.
func (e *Error) Error() string {
	return strings.ToLower(strings.ReplaceAll(e.Code.Word(), "_", " ")) + ": " + e.Detail
}

// AsError is the one door out: an *Error anywhere in err's chain is told to the
// client as it is; all else becomes INTERNAL, and its text goes to our log only.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Code_INTERNAL, Detail: "internal error"}
}

// Errorf makes an Error of any code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

func BadRequest(format string, args ...any) *Error { return Errorf(Code_BAD_REQUEST, format, args...) }
func Unauthorized(format string, args ...any) *Error {
	return Errorf(Code_UNAUTHORIZED, format, args...)
}
func Denied(format string, args ...any) *Error   { return Errorf(Code_DENIED, format, args...) }
func NotFound(format string, args ...any) *Error { return Errorf(Code_NOT_FOUND, format, args...) }
func Conflict(format string, args ...any) *Error { return Errorf(Code_CONFLICT, format, args...) }
func TooLarge(format string, args ...any) *Error { return Errorf(Code_TOO_LARGE, format, args...) }

// Is reports whether err is, or wraps, an *Error with this code.
func (c Code) Is(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == c
}
