//go:build !linux

package main

// unmapProgram does nothing: what a program has mapped is the system's affair here.
func unmapProgram() error { return nil }
