package main

import "github.com/troupe-im/troupe/internal/mongostore"

// shared says whether what is kept is where other nodes reach it as well.
func (c *Config) shared() bool { return c.Mongo != "" }

// checkShared is the part of check about what several nodes have to share.
func (c *Config) checkShared(refuse func(name, format string, args ...any)) {
	if !c.shared() {
		if c.FilesDir != "" {
			refuse("files-dir", "without mongo the rows of files are in data, and so are the files; a backup would lack these")
		}
		return
	}
	if err := mongostore.CheckURI(string(c.Mongo)); err != nil {
		refuse("mongo", "%v", err)
	}
	if c.Redis == "" {
		return
	}
	if c.Users.Secrets == "" {
		refuse("secrets", "each node would make its own, and no token of one be good at another: copy one node's secrets.json to where all of them read it")
	}
	if c.FilesDir == "" && c.Files.S3.Endpoint == "" {
		refuse("files-dir", "files of one node are not there for another: name a directory that all nodes see, or keep them in S3 (s3-endpoint)")
	}
}
