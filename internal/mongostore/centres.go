package mongostore

import (
	"context"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
)

var (
	_ preview.Store       = (*Store)(nil)
	_ model.Store         = (*Store)(nil)
	_ remote.Store        = (*Store)(nil)
	_ filectr.AvatarStore = (*Store)(nil)
)

func (s *Store) names(ctx context.Context, of filectr.Holder) (string, error) { return "", nil }
