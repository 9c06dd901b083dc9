//go:build !race

package plugins_test

// race says that the race detector watches.
const race = false
