package protocol

import "sync"

// Shared is a frame for many receivers, encoded once per encoding: they share
// the bytes, and each gets its own tail behind them (messagesendId and offset).
type Shared struct {
	Frame *Frame // without a tail; not changed after NewShared

	json, binary struct {
		once sync.Once
		body []byte
	}
}

// NewShared wraps f, which must not be changed afterwards.
func NewShared(f *Frame) *Shared { return &Shared{Frame: f} }

// AppendJSON appends the frame as it goes to one receiver: with its offset, where
// that is not 0, and for a msg_push with its messagesendId.
func (s *Shared) AppendJSON(b []byte, to UserID, offset int64) []byte {
	b = append(b, s.bodyJSON()...)
	if push := s.Frame.GetMsgPush(); push != nil {
		b = append(b, `,"messagesendId":"`...)
		b = appendEscaped(b, push.MessagerecvId)
		b = append(b, '@')
		b = appendEscaped(b, to)
		b = append(b, '"')
	}
	return appendOffset(b, s.Frame, offset)
}

// AppendBinary is AppendJSON for binary frames.
func (s *Shared) AppendBinary(b []byte, to UserID, offset int64) []byte {
	b = append(b, s.bodyBinary()...)
	return appendBinaryTail(b, s.Frame.GetMsgPush().GetMessagerecvId(), to, offset)
}

// SizeJSON is the length in bytes of what the receivers share: a copy is longer by its tail.
func (s *Shared) SizeJSON() int { return len(s.bodyJSON()) }

// SizeBinary is SizeJSON for binary frames.
func (s *Shared) SizeBinary() int { return len(s.bodyBinary()) }

func (s *Shared) bodyJSON() []byte {
	s.json.once.Do(func() { s.json.body = appendHead(make([]byte, 0, 512), s.Frame) })
	return s.json.body
}

func (s *Shared) bodyBinary() []byte {
	s.binary.once.Do(func() { s.binary.body = AppendBinary(nil, s.Frame) })
	return s.binary.body
}
