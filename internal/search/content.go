package search

import "google.golang.org/protobuf/encoding/protowire"

// field is one of those texts of a content that people wrote and read, by its number in protocol.Content.
type field int

const (
	fieldType      field = 1
	fieldText      field = 2
	fieldName      field = 5
	fieldTitle     field = 12
	fieldDigest    field = 13
	fieldForwarded field = 15
	forwardedText        = 5 // of protocol.Forwarded
)

func (f field) String() string {
	switch f {
	case fieldText:
		return "text"
	case fieldName:
		return "name"
	case fieldTitle:
		return "title"
	case fieldDigest:
		return "digest"
	}
	return "forwarded"
}

// said calls each with the texts of a content, in the order of their fields, until it returns false.
func said(content []byte, each func(f field, text []byte) bool) {
	for b := content; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return
		}
		b = b[n:]
		switch f := field(number); f {
		case fieldText, fieldName, fieldTitle, fieldDigest:
			if !each(f, v) {
				return
			}
		case fieldForwarded:
			if text := textOf(v); len(text) > 0 && !each(f, text) {
				return
			}
		}
	}
}

// textOf is the text of a protocol.Forwarded.
func textOf(b []byte) []byte {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if number == forwardedText && kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			return v
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return nil
		}
		b = b[n:]
	}
	return nil
}

// typeOf is the content's type, as its number.
func typeOf(content []byte) int32 {
	for b := content; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0
		}
		b = b[n:]
		if field(number) == fieldType && kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			return int32(v)
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return 0
		}
		b = b[n:]
	}
	return 0
}

// Parse reads what searching wants to know of an entry in protobuf, but for its seq; m's
// slices are in it.
func (m *Message) Parse(entry []byte) error {
	m.Sender, m.Content, m.CreatedAt, m.Expire = nil, nil, 0, 0
	for b := entry; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		switch number {
		case 5: // sender
			m.Sender, n = protowire.ConsumeBytes(b)
		case 7: // content
			m.Content, n = protowire.ConsumeBytes(b)
		case 8, 9: // created_at, expire
			var v uint64
			if v, n = protowire.ConsumeVarint(b); number == 8 {
				m.CreatedAt = int64(v)
			} else {
				m.Expire = int64(v)
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}
