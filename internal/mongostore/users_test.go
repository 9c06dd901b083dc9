package mongostore

import (
	"testing"

	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/userctr"
)

func TestUsers(t *testing.T) {
	storetest.Users(t, func(t *testing.T) userctr.Store { return open(t) })
}
