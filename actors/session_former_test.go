package actors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestASilenceOutlastsLeavingAndComingInAgain(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	id := ann.group(&protocol.SessionCreate{JoinPolicy: protocol.JoinPolicy_OPEN, Members: []string{"bob", "cid", "dan"}})
	until := time.Now().Add(time.Hour).UnixMilli()
	cid.must(silence(id, until, "bob"))
	cid.must(silence(id, actors.Forever, "dan"))

	bob.must(exit(id))
	bob.must(join(id))
	bob.refused(send(id, "b1", "x"), protocol.Code_SILENCED)
	cid.must(remove(id, "bob", "dan"))
	ann.must(set(id, &protocol.SessionSet{Name: ptr("another")})) // what else is set takes nothing away
	if info := ann.about(id); len(info.Former) != 0 {
		t.Errorf("members are told of %v", info.Former)
	}
	s.restart()
	ann, bob = s.dial("ann", "d"), s.dial("bob", "d")
	if info := ann.about(id); len(info.Former) != 0 || info.Name != "another" {
		t.Errorf("after a restart members are told of %v", info)
	}
	ann.must(add(id, "bob"))
	bob.refused(send(id, "b1", "x"), protocol.Code_SILENCED)
	eventually(t, "bob's row says so", func() bool { return bob.row(id).SilencedUntil == until })
	dan := s.dial("dan", "d")
	dan.must(join(id))
	dan.refused(send(id, "d1", "x"), protocol.Code_SILENCED)

	ann.must(silence(id, 0, "bob"))
	bob.send(id, "b1", "lifted")
	bob.must(exit(id))
	bob.must(join(id))
	bob.send(id, "b2", "still lifted")
}

func TestASilenceThatEndedIsNotBroughtBack(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.group(&protocol.SessionCreate{JoinPolicy: protocol.JoinPolicy_OPEN, Members: []string{"bob"}})
	ann.must(silence(id, time.Now().UnixMilli()+50, "bob"))
	bob.must(exit(id))
	eventually(t, "bob writes again", func() bool {
		bob.must(join(id))
		if bob.ask(send(id, "b1", "x")).Errcode == 0 {
			return true
		}
		bob.must(exit(id))
		return false
	})
}

func TestAGroupKeepsTheLongestSilencesOfFormerMembers(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	var all []string
	for i := range 1001 {
		all = append(all, fmt.Sprintf("u%04d", i))
	}
	id := ann.group(&protocol.SessionCreate{JoinPolicy: protocol.JoinPolicy_OPEN})
	for i := 0; i < len(all); i += 400 {
		some := all[i:min(i+400, len(all))]
		ann.must(add(id, some...))
		ann.must(silence(id, time.Now().Add(2*time.Hour).UnixMilli(), some...))
	}
	ann.must(silence(id, time.Now().Add(time.Hour).UnixMilli(), all[7]))
	for i := 0; i < len(all); i += 400 {
		ann.must(remove(id, all[i:min(i+400, len(all))]...))
	}
	s.restart()
	for _, who := range []string{all[0], all[1000]} {
		c := s.dial(who, "d")
		c.must(join(id))
		c.refused(send(id, "m", "x"), protocol.Code_SILENCED)
	}
	c := s.dial(all[7], "d")
	c.must(join(id))
	c.send(id, "m", "the soonest to end made room")
}
