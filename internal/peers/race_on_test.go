//go:build race

package peers_test

const underRace = true
