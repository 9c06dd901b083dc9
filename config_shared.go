package main

// shared says whether what is kept is where other nodes reach it as well.
func (c *Config) shared() bool { return false }
