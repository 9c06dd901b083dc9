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

func TestFiles(t *testing.T) {
	storetest.Files(t, func(t *testing.T) storetest.FileStore { return open(t) })
}

func TestAvatars(t *testing.T) {
	storetest.Avatars(t, func(t *testing.T) storetest.AvatarStore { return open(t) })
}

func TestBots(t *testing.T) {
	storetest.Bots(t, func(t *testing.T) storetest.BotStore { return open(t) })
}

func TestSearch(t *testing.T) {
	storetest.Search(t, func(t *testing.T) storetest.Searched { return open(t) })
}
