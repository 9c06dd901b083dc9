//go:build !planted

package actors

// Bugs that cmd/chaos plants to show that its checker finds them; see planted.go.
const (
	plantedAckBeforeCommit     = false
	plantedNoDedupe            = false
	plantedPublishBeforeCommit = false
)
