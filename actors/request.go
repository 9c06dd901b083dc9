package actors

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// The values of callBackType.
const (
	waiting   = 1
	accepted  = 2
	refused   = 3
	takenBack = 4
)

// side is what somebody is to a request.
type side int

const (
	stranger side = iota
	asker         // may take it back
	answerer      // may accept and refuse it
)

// transition is the request's state machine: waiting → accepted, refused or taken
// back, each for good. It gives the request as it is from now on and leaves was
// alone. The answer that was given already is given again without a change: then
// next is was. Who is a stranger to it gets NOT_FOUND; BAD_REQUEST, DENIED, CONFLICT
// (answered otherwise) and EXPIRED are as they say.
func transition(was *protocol.Request, by protocol.UserID, as side, to int64, now time.Time) (next *protocol.Request, err error) {
	switch {
	case as == stranger:
		return nil, protocol.NotFound("request %.64s", was.Id)
	case to != accepted && to != refused && to != takenBack:
		return nil, protocol.BadRequest("callBackType: 2 accepts, 3 refuses, 4 takes back")
	case as == asker && to != takenBack:
		return nil, protocol.Denied("a request is answered by whom it is to; 4 takes it back")
	case as == answerer && to == takenBack:
		return nil, protocol.Denied("only who made a request takes it back")
	case was.CallBackType == to:
		return was, nil
	case was.CallBackType != waiting:
		return nil, protocol.Conflict("the request was %s already", map[int64]string{accepted: "accepted", refused: "refused", takenBack: "taken back"}[was.CallBackType])
	case overdue(was, now):
		return nil, protocol.Errorf(protocol.Code_EXPIRED, "the request's time was over at %s", time.UnixMilli(was.ExpireTime).UTC().Format(time.RFC3339))
	}
	next = proto.CloneOf(was)
	next.CallBackType, next.State = to, to == accepted
	next.UpdateTime, next.AnsweredBy = now.UnixMilli(), by
	return next, nil
}

func overdue(r *protocol.Request, now time.Time) bool {
	return r.ExpireTime != 0 && now.UnixMilli() >= r.ExpireTime
}

// open says that a request can still be answered.
func open(r *protocol.Request, now time.Time) bool {
	return r != nil && r.CallBackType == waiting && !overdue(r, now)
}

// newRequest is what m asks for, from now on.
func newRequest(from protocol.UserID, m *protocol.RequestSend, now time.Time, life time.Duration) *protocol.Request {
	at := now.UnixMilli()
	return &protocol.Request{
		Id: newRequestID(), Kind: m.Kind, From: from, Target: m.Target, User: m.User, Note: m.Note,
		CallBackType: waiting, CreateTime: at, UpdateTime: at, ExpireTime: at + life.Milliseconds(),
	}
}

// newRequestID is r_ and 80 random bits, as other ids are.
func newRequestID() string {
	var b [10]byte
	rand.Read(b[:])
	return "r_" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// receiver is the one person a request is to, "": it is to a session's owner and admins.
func receiver(r *protocol.Request) protocol.UserID {
	if r.Kind == protocol.RequestKind_FRIEND_REQUEST {
		return r.Target
	}
	return r.User
}

// sideOf is what user is to a request that is to one person.
func sideOf(r *protocol.Request, user protocol.UserID) side {
	switch user {
	case r.From:
		return asker
	case receiver(r):
		return answerer
	}
	return stranger
}

// alike says that two requests ask for the same.
func alike(a, b *protocol.Request) bool {
	return a.Kind == b.Kind && a.From == b.From && a.Target == b.Target && a.User == b.User
}
