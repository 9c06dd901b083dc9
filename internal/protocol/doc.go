// Package protocol is every word said over a wire: the frames, their two encodings,
// ids, and the table of errors. It imports nothing of ours.
//
// troupe.proto is the one source. protoc-gen-go makes the Go types and the binary
// form of it, our own generator in gen makes the JSON form (troupe_json.go), the
// TypeScript types (troupe.ts) and the tables of docs/protocol.md. After a change
// run go generate; it needs protoc, Debian's protobuf-compiler.
//
// The JSON codec does not use reflection: decoding and encoding a message of 170
// bytes takes about 1 µs and 8 allocations. It is strict, as it stands where
// strangers speak; see docs/protocol.md for what it refuses. encoding/json on any
// type of this package goes through it, and so gives the same names and limits;
// the json tags that protoc-gen-go writes are not used.
package protocol

//go:generate go run ./gen protoc
