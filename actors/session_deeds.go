package actors

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// maxReactions bounds the different reactions to one message.
	maxReactions = 32
	// maxOwnReactions bounds those of one member.
	maxOwnReactions = 8
	// maxReactors is how many people an entry names per reaction, 3 KiB of ids at 64
	// bytes each. The others are counted; what they did is in their deeds and the log.
	maxReactors = 50
)

// react adds or takes back the member's reaction to a message.
func (s *Session) react(r *request, m *protocol.MsgReact) {
	seq, err := s.seqOf(r, m.MessagerecvId)
	if err != nil {
		s.fail(r, err)
		return
	}
	me := r.who.User
	s.change(r, seq, func(target *protocol.Entry, mine []Deed) (*pending, *protocol.Entry, error) {
		p := &pending{answer: &protocol.Frame{Body: &protocol.Frame_MsgReactReply{MsgReactReply: &protocol.MsgReactReply{
			Session: s.id, MessagerecvId: protocol.MessageID(s.id, seq),
		}}}}
		if err := mayReact(s.info, s.members[me], time.Now()); err != nil && !m.Removed {
			return nil, nil, err
		}
		if target.Kind != protocol.Kind_MESSAGE || current(target, time.Now()).Content == nil {
			return nil, nil, protocol.Conflict("message %s is gone", protocol.MessageID(s.id, seq))
		}
		now := proto.CloneOf(target)
		i := slices.IndexFunc(now.Reactions, func(x *protocol.Reaction) bool { return x.Reaction == m.Reaction })
		for _, x := range now.Reactions { // of before there were counts
			x.Count = max(x.Count, int64(len(x.Users)))
		}
		has := i >= 0 && slices.Contains(now.Reactions[i].Users, me) || slices.ContainsFunc(mine, func(d Deed) bool { return d.Kind == protocol.Kind_REACT && d.Word == m.Reaction })
		if has != m.Removed {
			return p, nil, nil
		}
		if m.Removed {
			takeBack(now, i, me)
		} else if err := cmp.Or(s.mayTalk(me), add(now, i, me, m.Reaction, mine)); err != nil {
			return nil, nil, err
		}
		p.Rewrites = []*protocol.Entry{now}
		return p, &protocol.Entry{Kind: protocol.Kind_REACT, Sender: me, Reaction: m.Reaction, Removed: m.Removed}, nil
	})
}

// add counts user's reaction in e, where i is its place, below 0: nobody reacted so.
func add(e *protocol.Entry, i int, user protocol.UserID, reaction string, mine []Deed) error {
	own := 0
	for _, d := range mine {
		if d.Kind == protocol.Kind_REACT {
			own++
		}
	}
	switch {
	case own >= maxOwnReactions:
		return protocol.Errorf(protocol.Code_TOO_MANY, "one reacts to a message in at most %d ways", maxOwnReactions)
	case i < 0 && len(e.Reactions) >= maxReactions:
		return protocol.Errorf(protocol.Code_TOO_MANY, "a message has at most %d different reactions", maxReactions)
	case i < 0:
		i = len(e.Reactions)
		e.Reactions = append(e.Reactions, &protocol.Reaction{Reaction: reaction})
	}
	x := e.Reactions[i]
	x.Count++
	if len(x.Users) < maxReactors {
		x.Users = append(x.Users, user)
	}
	return nil
}

func takeBack(e *protocol.Entry, i int, user protocol.UserID) {
	if i < 0 {
		return
	}
	x := e.Reactions[i]
	x.Count--
	x.Users = slices.DeleteFunc(x.Users, func(u string) bool { return u == user })
	if x.Count <= 0 {
		e.Reactions = slices.Delete(e.Reactions, i, i+1)
	}
}

// answerCall says that a member accepts or refuses a call invitation. The first answer
// holds: given again, on whichever device, it is answered alike, and another is refused.
func (s *Session) answerCall(r *request, answer, recvID, sendID string) {
	if recvID == "" {
		recvID = sendID
	}
	seq, err := s.seqOf(r, recvID)
	if err != nil {
		s.fail(r, err)
		return
	}
	s.change(r, seq, func(target *protocol.Entry, mine []Deed) (*pending, *protocol.Entry, error) {
		id := protocol.MessageID(s.id, seq)
		p := &pending{answer: &protocol.Frame{Body: &protocol.Frame_MsgAcceptReply{MsgAcceptReply: &protocol.MsgAcceptReply{Session: s.id, MessagerecvId: id}}}}
		if answer == "refuse" {
			p.answer = &protocol.Frame{Body: &protocol.Frame_MsgRefuseReply{MsgRefuseReply: &protocol.MsgRefuseReply{Session: s.id, MessagerecvId: id}}}
		}
		if i := slices.IndexFunc(mine, func(d Deed) bool { return d.Kind == protocol.Kind_ANSWER }); i >= 0 {
			if mine[i].Word != answer {
				return nil, nil, protocol.Conflict("the call %s was answered with %s", id, mine[i].Word)
			}
			fillSeq(p.answer, mine[i].Seq)
			return p, nil, nil
		}
		c := current(target, time.Now()).Content
		switch {
		case c == nil || c.Type != protocol.ContentType_LIVEAUDIO && c.Type != protocol.ContentType_LIVEVIDEO:
			return nil, nil, protocol.BadRequest("message %s is no call invitation", id)
		case target.Sender == r.who.User && answer == "accept":
			return nil, nil, protocol.Denied("one does not accept one's own call")
		}
		return p, &protocol.Entry{Kind: protocol.Kind_ANSWER, Sender: r.who.User, Answer: answer}, nil
	})
}
