package main

import (
	webembed "github.com/troupe-im/troupe/web-embed"
)

// site is what browsers are served: the page at /, the frame and its loader, the playground.
func (s *server) site() *webembed.Site {
	return webembed.New(webembed.Config{
		Apps:        s.embedded,
		Register:    string(s.cfg.Users.Policy),
		FilesOrigin: s.cfg.Files.Origin,
		Playground:  s.cfg.Playground == "on" || s.cfg.Playground == "auto" && s.cfg.Profile == dev,
	})
}

// embedded is an application as its pages may know it.
func (s *server) embedded(id string) (webembed.App, bool) {
	a, err := s.users.App(id)
	if err != nil {
		return webembed.App{}, false
	}
	return webembed.App{ID: a.ID, Name: a.Name, Origins: a.Origins, Colours: a.Colours, Texts: a.Texts, Features: a.Features, Guests: a.Guests}, true
}
