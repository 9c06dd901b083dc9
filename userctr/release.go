package userctr

import "github.com/troupe-im/troupe/internal/protocol"

// Releases knows newer versions of clients.
type Releases interface {
	// Newer gives what is newer than the version that a client says it has; nil: nothing.
	Newer(app, platform, channel, version string) *protocol.Release
}

// UseReleases names who knows. Before that nobody is told of a newer version.
func (c *Center) UseReleases(r Releases) { c.releases.Store(&r) }

// NewerRelease is a newer version of the client that signs in.
type NewerRelease struct {
	State   string            `json:"state" enum:"available,required" doc:"required: the client's version is below the minimum"`
	Release string            `json:"release" doc:"Its id"`
	Version string            `json:"version"`
	Build   int64             `json:"build,omitempty"`
	Minimum string            `json:"minimum,omitempty" doc:"Clients below this version have to go on to it"`
	Notes   map[string]string `json:"notes,omitempty" doc:"Plain texts, by their languages"`
	Name    string            `json:"name" doc:"Of the file"`
	Size    int64             `json:"size" doc:"Bytes"`
	SHA256  string            `json:"sha256" doc:"Of the whole file, in hex"`
	URL     string            `json:"url" doc:"Of the file: a path of this server, or a link where an origin for files is set"`
}

func viewOfRelease(r *protocol.Release) *NewerRelease {
	if r == nil {
		return nil
	}
	return &NewerRelease{
		State: r.State, Release: r.Release, Version: r.Version, Build: r.Build, Minimum: r.Minimum, Notes: r.Notes,
		Name: r.Name, Size: r.Size, SHA256: r.Sha256, URL: r.Url,
	}
}
