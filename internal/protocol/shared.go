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
