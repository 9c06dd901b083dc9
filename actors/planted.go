//go:build planted

package actors

import "os"

// Bugs that cmd/chaos plants to show that its checker finds them. This file is
// only in binaries built with the tag planted; TROUPE_PLANTED names the bug.
var (
	plantedAckBeforeCommit     = os.Getenv("TROUPE_PLANTED") == "ack-before-commit"
	plantedNoDedupe            = os.Getenv("TROUPE_PLANTED") == "no-dedupe"
	plantedPublishBeforeCommit = os.Getenv("TROUPE_PLANTED") == "publish-before-commit"
)
