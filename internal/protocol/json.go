package protocol

// encoding/json on our types goes through our codec: the tags that protoc-gen-go
// writes would give other names.

// MarshalJSON writes f as it goes over a wire.
func (f *Frame) MarshalJSON() ([]byte, error) { return AppendJSON(nil, f), nil }

// UnmarshalJSON is DecodeJSON.
func (f *Frame) UnmarshalJSON(data []byte) error {
	read, err := DecodeJSON(data)
	if err != nil {
		return err
	}
	f.Reset()
	f.Id, f.Errcode, f.Code, f.Error, f.RetryAfterMs = read.Id, read.Errcode, read.Code, read.Error, read.RetryAfterMs
	f.MessagesendId, f.Offset, f.Body = read.MessagesendId, read.Offset, read.Body
	return nil
}

// unmarshal reads one value that is the whole of data. The error is an *Error.
func unmarshal(data []byte, read func(*reader)) error {
	r := reader{data: data}
	if r.null() {
		return nil
	}
	r.err = nil
	read(&r)
	r.end()
	if r.err != nil {
		return r.fault("")
	}
	return nil
}
