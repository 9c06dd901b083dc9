// Package conformance is what every SDK and every way to a bot has to pass: it plays the
// host for a bot that does as it is told, and looks at each frame. An SDK in another
// language brings that bot; a way to a bot (a process, a WebSocket) brings a Channel.
//
// The conformance bot has the id conformance, version 1.2.3, the scopes kv and moderate,
// takes 8 events at once, and has one setting, greeting, whose default is hello. Its
// command sum (read only) takes the integers a and b (1 by default) and the duration in
// (optional), and says a+b, a space, and the duration in milliseconds. It answers a
// message by the first word of its text; the rest is what stands behind one space:
//
//	echo X      says X
//	twice X     says X, and says X
//	whisper X   whispers X
//	stream X    says X by a stream, letter by letter
//	slow        begins a stream by "begin", and waits until it is stopped
//	pause MS    waits MS milliseconds, whatever happens, and says "rested"
//	fail X      fails with the error "failed: X"
//	drop X      fails with the error "dropped: X", and does not want the event again
//	panic X     breaks in the way of its language, with "panicked: X"
//	noise       prints 240,000 bytes to its standard output, and says "quiet again"
//	greet       says its setting
//	count       adds one to the JSON number under the key count, by compare-and-set, and says it
//	who         says the names of all members, with spaces between them
//	card X      says a card with the title X, the row a 1, and the primary button press
//	later X     schedules X for 2,000,000,000,000 under the id later
//
// The action press locks its card, with the title "pressed " and the form's value how.
// A schedule has it say the schedule's id, a space, and what was kept. It rejects the
// text bad, rewrites rude to ****, and holds odd, each with the reason because.
package conformance
