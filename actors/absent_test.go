package actors_test

import (
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestSessionsThatDoNotExistDoNotStay(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	for range 500 {
		ann.refused(read(protocol.NewSessionID(), 1), protocol.Code_NOT_FOUND)
	}
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, Members: []string{"nobody"}}}}, protocol.Code_NOT_FOUND)
	eventually(t, "only the one that exists is loaded", func() bool { n, _ := s.node.Loaded(); return n == 1 })
	ann.send(room, "1", "x")
}
