//go:build !planted

package actors

// Bugs that cmd/chaos plants to show that its checker finds them; see planted.go.
// As constants they leave nothing in the binary.
const (
	plantedAckBeforeCommit     = false
	plantedPublishBeforeCommit = false
	plantedNoDedupe            = false
	plantedForgetful           = false
	plantedFallingMarks        = false
	plantedRecallCounts        = false
	plantedResumeSkips         = false
)

func plantedDelay() {}
