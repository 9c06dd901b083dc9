package protocol

// DecodeJSON reads one text frame. On failure the error is an *Error, and the
// Frame, where it is not nil, holds the id and type as far as they were read, so
// that the answer can carry them.
func DecodeJSON(data []byte) (*Frame, error) { panic("generated soon") }

// AppendJSON appends f as one JSON object.
func AppendJSON(b []byte, f *Frame) []byte { panic("generated soon") }
