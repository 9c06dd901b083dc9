package mongostore

import (
	"testing"

	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/userctr"
)

func TestUsers(t *testing.T) {
	storetest.Users(t, func(t *testing.T) userctr.Store { return open(t) })
}

func TestErasure(t *testing.T) {
	storetest.Erasure(t, func(t *testing.T) storetest.Everything { return open(t) })
}
