package protocol

import (
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
)

// Shared is a frame for many receivers, encoded once per encoding: they share
// the bytes, and each gets its own tail behind them (messagesendId and offset). The first
// one gets bytes of its own, as there is often no other: what nobody shares is not kept.
type Shared struct {
	Frame *Frame // without a tail; not changed after NewShared

	size         atomic.Int32 // about, 0: not known yet
	json, binary struct {
		asked atomic.Bool // somebody has it
		once  sync.Once
		body  []byte
	}
}

// NewShared wraps f, which must not be changed afterwards.
func NewShared(f *Frame) *Shared { return &Shared{Frame: f} }

// NewSharedPush wraps the msg_push of e, in one piece of memory, as there is one for each message.
func NewSharedPush(e *Entry) *Shared {
	made := &struct {
		shared Shared
		frame  Frame
		body   Frame_MsgPush
	}{body: Frame_MsgPush{MsgPush: e}}
	made.frame.Body = &made.body
	made.shared.Frame = &made.frame
	return &made.shared
}

// AppendJSON appends the frame as it goes to one receiver: with its offset, where
// that is not 0, and for a msg_push with its messagesendId.
func (s *Shared) AppendJSON(b []byte, to UserID, offset int64) []byte {
	if s.json.asked.Swap(true) {
		b = append(b, s.bodyJSON()...)
	} else {
		b = appendHead(b, s.Frame)
	}
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
	if s.binary.asked.Swap(true) {
		b = append(b, s.bodyBinary()...)
	} else {
		b = AppendBinary(b, s.Frame)
	}
	return appendBinaryTail(b, s.Frame.GetMsgPush().GetMessagerecvId(), to, offset)
}

// Size is about how many bytes the receivers share, as protobuf; JSON takes half as many
// again and some 200 more, and a copy is longer by its tail.
func (s *Shared) Size() int {
	n := s.size.Load()
	if n == 0 {
		if n = int32(sizeOfWords(s.Frame.GetMsgPush())); n == 0 {
			n = int32(proto.Size(s.Frame))
		}
		s.size.Store(n)
	}
	return int(n)
}

// sizeOfWords is about the size of an entry that is somebody's words, 0 of nil and of another one.
func sizeOfWords(e *Entry) int {
	c := e.GetContent()
	if c == nil || e.Change != nil || e.Deal != nil || len(e.Members) > 0 || len(e.Mentions) > 0 || len(e.Reactions) > 0 ||
		c.File != "" || len(c.Files) > 0 || c.Url != "" || c.Name != "" || c.Title != "" || c.Digest != "" || c.Data != "" || len(c.Forwarded) > 0 {
		return 0
	}
	const rest = 32 // tags, lengths, numbers and words of fixed sets
	return rest + len(e.Session) + len(e.MessagerecvId) + len(e.Sender) + len(e.ClientMsgId) + len(e.ReplyTo) + len(e.Platform) +
		len(e.TargetSender) + len(e.Reaction) + len(e.Name) + len(e.Owner) + len(c.Text) + len(c.Mime) + len(c.Thumb)
}

func (s *Shared) bodyJSON() []byte {
	s.json.once.Do(func() { s.json.body = appendHead(make([]byte, 0, 512), s.Frame) })
	return s.json.body
}

func (s *Shared) bodyBinary() []byte {
	s.binary.once.Do(func() { s.binary.body = AppendBinary(nil, s.Frame) })
	return s.binary.body
}
