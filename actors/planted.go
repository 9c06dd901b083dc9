//go:build planted

package actors

import (
	"os"
	"time"
)

// Bugs that cmd/chaos plants to show that its checker finds them. This file is
// only in binaries built with the tag planted; TROUPE_PLANTED names the bug.
var (
	plantedAckBeforeCommit     = os.Getenv("TROUPE_PLANTED") == "ack-before-commit"
	plantedPublishBeforeCommit = os.Getenv("TROUPE_PLANTED") == "publish-before-commit"
	plantedNoDedupe            = os.Getenv("TROUPE_PLANTED") == "no-dedupe"
	plantedForgetful           = os.Getenv("TROUPE_PLANTED") == "dedupe-forgets"      // what was sent before the session was loaded
	plantedFallingMarks        = os.Getenv("TROUPE_PLANTED") == "receipt-falls"       // the last msg_read wins
	plantedRecallCounts        = os.Getenv("TROUPE_PLANTED") == "recall-still-counts" // as unread
	plantedResumeSkips         = os.Getenv("TROUPE_PLANTED") == "resume-skips-one"
)

// plantedDelay stands before a commit that others were told about too early. What
// was written to a file survives SIGKILL in the page cache, so such a bug can only
// be seen in what is not even written yet.
func plantedDelay() {
	if plantedAckBeforeCommit || plantedPublishBeforeCommit {
		time.Sleep(20 * time.Millisecond)
	}
}
