package mongostore

import (
	"testing"

	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/storetest"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
)

func TestPreviews(t *testing.T) {
	storetest.Previews(t, func(t *testing.T) preview.Store { return open(t) })
}

func TestUsage(t *testing.T) {
	storetest.Usage(t, func(t *testing.T) model.Store { return open(t) })
}

func TestRemote(t *testing.T) {
	storetest.Remote(t, func(t *testing.T) remote.Store { return open(t) })
}
