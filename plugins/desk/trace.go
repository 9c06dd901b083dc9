package desk

import (
	"crypto/rand"
	"encoding/hex"
)

// trace begins a trace, as W3C Trace Context has it: the event, what a model is asked for
// it and the answer are one.
func trace() string {
	var b [24]byte
	rand.Read(b[:]) // never fails: the program ends instead
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// traceID is the part of a traceparent that is the same from the event to the answer: log
// lines that have it (at level debug) tell what became of an event.
func traceID(parent string) string {
	if len(parent) < 35 {
		return ""
	}
	return parent[3:35]
}
