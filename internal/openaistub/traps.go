package openaistub

import "net/http"

// The ways of real providers that go-openai 1.43.0, or any client of a few lines, falls
// for, by their numbers in docs/assistant.md. What is not here (5, 6, 9, 11: abandoned streams,
// a stop, names of models, who the key goes to) is a client's doing, with any of these answers.

// TrapCut (1) ends in the middle of an answer as if it were whole: no finish_reason, no [DONE].
func TrapCut() Turn { return Turn{Text("half ", "an "), Cut()} }

// TrapPlain (1) answers a streaming request with the whole answer as JSON.
func TrapPlain() Turn { return Turn{Whole("all at once", 7, 3)} }

// TrapErrorAfterComment (2) tells of an error behind a comment.
func TrapErrorAfterComment() Turn {
	return Turn{Raw(": processing\n\n"), Raw(`data: {"error":{"message":"the engine is on fire","type":"server_error","code":"fire"}}` + "\n\n"), Cut()}
}

// TrapErrorEvent (2) names the event of its error.
func TrapErrorEvent() Turn {
	return Turn{Text("so "), Raw("event: error\n" + `data: {"error":{"message":"the engine is on fire","type":"server_error","code":"fire"}}` + "\n\n"), Cut()}
}

// TrapErrorWithSpace (2) writes its JSON with spaces.
func TrapErrorWithSpace() Turn {
	return Turn{Text("so "), Raw(`data: { "error" : { "message" : "the engine is on fire", "type" : "server_error" } }` + "\n\n"), Cut()}
}

// TrapEmptyChunks (2) says nothing, often, and ends.
func TrapEmptyChunks() Turn { return Turn{Empty(40), Done()} }

// TrapComments (3) gives 400 signs of life before a word.
func TrapComments() Turn {
	return append(Turn{Comments(400)}, Answer(7, 3, "at ", "last")...)
}

// TrapSilence (4) never answers at all.
func TrapSilence() Turn { return Turn{Hang()} }

// TrapStall (4) stops in the middle and stays connected.
func TrapStall() Turn { return Turn{Text("wait "), Hang()} }

// TrapBusy (7) has no time, and says when it will have.
func TrapBusy(after string) Turn {
	return Turn{Status(http.StatusTooManyRequests, Error("slow down", "rate_limit_error", "rate_limit_exceeded"), "Retry-After", after)}
}

// TrapBroken (7) fails before the first token.
func TrapBroken() Turn {
	return Turn{Status(http.StatusInternalServerError, Error("oops", "server_error", ""))}
}

// TrapEmptyAnswer (8) has a good end and no words.
func TrapEmptyAnswer() Turn { return Turn{Finish("stop"), Usage(7, 0), Done()} }

// TrapUsage (10) ends with a chunk that has no choices, as all do who are asked for their usage.
func TrapUsage() Turn { return Answer(7, 3, "good") }

// TrapNotJSON answers 200 with a page.
func TrapNotJSON() Turn {
	return Turn{func(c *Call) bool {
		c.W.Header().Set("Content-Type", "text/html")
		_, _ = c.W.Write([]byte("<html><body>captive portal</body></html>"))
		return true
	}}
}

// TrapBadChunk has half a chunk in the stream.
func TrapBadChunk() Turn { return Turn{Text("so "), Raw(`data: {"choices":[{"del` + "\n\n"), Cut()} }
