package mongostore

import (
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
)

var (
	_ filectr.Store = (*Store)(nil)
	_ preview.Store = (*Store)(nil)
	_ desk.Store    = (*Store)(nil)
	_ model.Store   = (*Store)(nil)
	_ remote.Store  = (*Store)(nil)
)
