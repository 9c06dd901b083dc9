package protocol

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// DecodeBinary reads one binary frame of the subprotocol troupe.v1.proto, under
// the same limits as DecodeJSON, and with the same promise about failures.
// Unknown fields are dropped, so that nobody stores bytes through us.
func DecodeBinary(data []byte) (*Frame, error) {
	f := new(Frame)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 100}).Unmarshal(data, f); err != nil {
		failed, _ := start([]byte(f.Type()))
		if failed == nil {
			failed = new(Frame)
		}
		failed.Id = f.Id
		return failed, BadRequest("not a frame in protobuf")
	}
	if f.Body == nil {
		return f, Errorf(Code_UNKNOWN_TYPE, "unknown type")
	}
	if err := check(f); err != nil {
		return f, err
	}
	return f, nil
}

// AppendBinary appends f as protobuf. As in JSON, what is not UTF-8 (never from a
// client's frame) becomes U+FFFD.
func AppendBinary(b []byte, f *Frame) []byte {
	out, err := proto.MarshalOptions{}.MarshalAppend(b, f)
	if err == nil {
		return out
	}
	cleaned, _ := DecodeJSON(AppendJSON(nil, f)) // the one thing that Marshal refuses is such a string
	if cleaned == nil {
		cleaned = Fail(nil, err)
	}
	out, err = proto.MarshalOptions{}.MarshalAppend(b, cleaned)
	if err != nil {
		return b
	}
	return out
}

func appendBinaryTail(b []byte, sendID string, to UserID, offset int64) []byte {
	if sendID != "" {
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(sendID)+1+len(to)))
		b = append(append(append(b, sendID...), '@'), to...)
	}
	if offset != 0 {
		b = protowire.AppendTag(b, 7, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(offset))
	}
	return b
}

// check looks at a frame that came as protobuf as strictly as JSON's reader does.
func check(f *Frame) error {
	typ, body := f.body()
	r := reader{}
	r.checkInt(f.Offset, "offset")
	r.checkInt(f.RetryAfterMs, "retryAfterMs")
	if r.err == nil && failing(f) {
		empty(f)
	} else if r.err == nil {
		body.check(&r)
		r.blank(body)
	}
	if r.err != nil {
		return r.fault(typ)
	}
	return nil
}

func (r *reader) checkInt(n int64, name string) {
	if r.err == nil && (n > maxInteger || n < -maxInteger) {
		r.fail(Code_OUT_OF_RANGE, "a whole number within 2^53 is needed")
		r.at(name)
	}
}

func (r *reader) checkDouble(x float64, name string) {
	if r.err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
		r.fail(Code_OUT_OF_RANGE, "a finite number is needed")
		r.at(name)
	}
}

func (r *reader) checkKnown(known bool, name string) {
	if r.err == nil && !known {
		r.bad("an unknown number")
		r.at(name)
	}
}

func (r *reader) checkThere(there bool, name string) {
	if r.err == nil && !there {
		r.bad("is missing")
		r.at(name)
	}
}

// checkRaw looks at a value that is to be JSON.
func (r *reader) checkRaw(value, name string) {
	if r.err != nil || value == "" {
		return
	}
	inner := reader{data: []byte(value)}
	inner.raw()
	inner.end()
	if r.err = inner.err; r.err != nil {
		r.at(name)
	}
}
