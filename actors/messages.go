package actors

import (
	"github.com/troupe-im/troupe/internal/protocol"
)

// request is one frame that somebody sent, on its way to a session or a user.
// It is answered to from with *answers.
type request struct {
	from  address
	conn  int64 // of the sender, 0: none
	who   *protocol.Identity
	frame *protocol.Frame
	link  Link // of the sender's connection, with a request to a User

	drawn  bool    // a session_set whose avatar's picture was made just now
	notice *notice // not nil: the installation itself speaks, and no right is asked for
	tries  int     // how often a newer activation of the session was in the way
	unsure bool    // it may have been done already, see ErrUnknown
}

// answers are answering frames for a connection (or the desk), in order.
type answers struct {
	frames []*protocol.Frame
	burst  *Burst
	silent int // requests that get no answer

	room [1]Outgoing // the connection's: mostly there is one
}

// committed tells a session what became of its appends, in order.
type committed struct {
	done  []*pending
	burst *Burst

	one   [1]*pending // room for done, and for what it makes others see: mostly there is one
	event [1]*Event
}

// delivery is a session's (or user's) events for a user.
type delivery struct {
	subject string
	events  []*Event
	burst   *Burst
}

// done brings back what was done away from the mailbox, as a function that is run in it.
type done func()

// passivate asks an actor that was idle to stop; forwarded messages find the next one.
type passivate struct{ now bool } // now: however short it was idle

// move asks a session to look whether it is still this node's, and to go if it is not.
type move struct{}

// end stops an actor that has passivated: by then nobody holds its address.
type end struct{}

type kick struct {
	user   protocol.UserID // "": whoever it is
	login  string          // "": every login
	device string          // "": every device
	app    string          // by which the user came, "": whichever
	code   protocol.Code
	why    string
}

type goaway struct{ frame *protocol.Shared }

// timeUp tells a session that it has to end now, or to go on ending.
type timeUp struct{}

// expire asks a session to expire a message whose time has come.
type expire struct{ seq int64 }

// ok makes an answer to r.
func (r *request) ok(f *protocol.Frame) *protocol.Frame {
	f.Id = r.frame.Id
	return f
}
