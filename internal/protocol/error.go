package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// Word is the code as a client sees it, like NOT_FOUND.
func (c Code) Word() string { return wordCode(c) }

// HTTPStatus is the status of a REST answer that fails with this code.
func (c Code) HTTPStatus() int { return httpCode(c) }

// CloseCode is the WebSocket close code that goes with this code, 0 where the connection lives.
func (c Code) CloseCode() int { return closeCode(c) }

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
