package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/filectr/review"
	"github.com/troupe-im/troupe/gateway"
	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/search"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/userctr"
)

// Config is all that an operator may set: our own settings, and one field per
// package with the package's own. settings.go says how each is called.
type Config struct {
	Profile string // dev, test or prod
	Listen  string // address of the one listener
	Data    string // directory of everything that is kept

	TLSCert, TLSKey string // PEM files; both or none
	BehindProxy     bool   // somebody in front of us speaks TLS

	Playground string // on, off or auto: in profile dev

	Log       string        // level: debug, info, warn, error
	LogFormat string        // text or json
	Memory    int64         // bytes the Go runtime tries to stay under; 0: from the machine
	Drain     time.Duration // a stop takes at most this long

	Mongo    userctr.Secret // the database where everything is, with what is secret in its address; "": it is in Data
	FilesDir string         // of Files: a directory that all nodes see; "": it is in Data

	Redis userctr.Secret // of several nodes: its address, with what is secret in it; "": this one is alone
	Node  nodeConfig     // how nodes reach each other

	EraseMessages string // what becomes of an erased user's messages: userctr.KeepMessages or TombstoneMessages

	Actors  actors.Config
	Gateway gateway.Config
	Users   userctr.Config
	Files   filectr.Config
	Links   preview.Config
	Egress  egress.Config // how others on the web are asked
	Search  search.Config
	Model   model.Config

	Bots        string                     // of those that come along: all, off, or names with commas
	BotSettings map[string]json.RawMessage // of each bot
	BotsLocale  string                     // of the installation
	BotRead     string                     // directories that bots may read, with commas
	Plugins     plugins.Config             // where other bots are, and how all are kept apart

	ModelURL, ModelName, ModelVision string         // of Model: one provider, said briefly
	ModelKey                         userctr.Secret // its key

	S3Secret     userctr.Secret // of Files.S3
	Review       review.Config  // who looks at files before others see them; no URL: nobody does
	ReviewSecret userctr.Secret

	Previews string // of Links: on or off
	Store    pebblestore.Options
}

// The profiles.
const (
	dev  = "dev"  // one's own machine: anybody may register
	test = "test" // like prod, but unsafe settings are taken
	prod = "prod" // refuses what is unsafe
)

// settle fills in what depends on other settings, once all of them are read.
func (c *Config) settle() {
	if c.Users.Policy == "" {
		c.Users.Policy = userctr.InviteOnly
		if c.Profile == dev {
			c.Users.Policy = userctr.Open
		}
	}
	c.Egress.Agent = "Troupe"
	if release != "" {
		c.Egress.Agent += "/" + strings.TrimPrefix(release, "v")
	}
	c.Users.Egress, c.Links.Egress = c.Egress, c.Egress
	c.Links.Data, c.Links.Off = filepath.Join(c.Data, previewsDir), c.Previews == "off"
	c.Users.Data = c.Data
	c.Files.S3.Secret = string(c.S3Secret)
	c.Files.Data, c.Files.Shared = filepath.Join(c.Data, filesDir), c.FilesDir
	c.Review.Secret, c.Review.Within, c.Review.Egress = string(c.ReviewSecret), c.Files.Reviews.Within, c.Egress
	c.Review.Answer = c.Files.MaxImage*4/3 + 64<<10 // a picture in base64, and what is said beside it
	if c.Review.URL == "" {
		c.Files.Reviews.Kinds = nil
	}
	c.settleModel()
	c.Users.Platform = c.Actors.Platforms
	c.Actors.Heartbeat = c.Gateway.Heartbeat
	c.Gateway.Version = version()
	c.Gateway.Rate, c.Gateway.RateBurst = c.Actors.Rate, c.Actors.RateBurst // REST may not go around the limit
}

// check gives everything that keeps a server with these settings from starting,
// each with the setting's name.
func (c *Config) check(from map[string]origin) error {
	var all []error
	refuse := func(name, format string, args ...any) {
		all = append(all, fmt.Errorf("%s (%s): %s", name, from[name], fmt.Sprintf(format, args...)))
	}
	switch c.Profile {
	case dev, test, prod:
	default:
		refuse("profile", "%q is none of dev, test, prod", c.Profile)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		refuse("listen", "%q is not HOST:PORT, like 127.0.0.1:8080", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		refuse("tls-cert", "tls-cert and tls-key belong together, and one is missing")
	}
	for name, file := range map[string]string{"tls-cert": c.TLSCert, "tls-key": c.TLSKey} {
		if file == "" {
			continue
		}
		if f, err := os.Open(file); err != nil {
			refuse(name, "%v", err)
		} else {
			f.Close()
		}
	}
	if n := len(c.Users.IdentitySecret); n > 0 && n < leastSecret {
		refuse("identity-secret", "it has %d bytes, and less than %d can be guessed; `openssl rand -hex 32` makes a good one", n, leastSecret)
	}
	if err := userctr.CheckIssuers(c.Users.Issuers, c.Users.IdentitySecret != ""); err != nil {
		refuse("issuers", "%v", err)
	}
	if c.Review.URL != "" {
		if err := review.Check(c.Review.URL, c.Review.Secret); err != nil {
			refuse("review-url", "%v", err)
		}
	}
	c.checkShared(refuse)
	c.checkNodes(refuse)
	c.checkModel(refuse)
	c.checkBots(refuse)
	for _, o := range c.Gateway.Origins {
		if strings.Contains(o, "*") {
			refuse("origins", "%q would let any page of the web act for its visitors; name the origins, like https://example.com", o)
		}
	}
	if c.Profile == prod {
		c.checkProd(from, host, refuse)
	}
	return errors.Join(all...)
}

// leastSecret is in bytes: as long as the HMAC's output (RFC 7518 section 3.2).
const leastSecret = 32

func (c *Config) checkProd(from map[string]origin, host string, refuse func(name, format string, args ...any)) {
	if c.TLSCert == "" && !c.BehindProxy && !loopback(host) {
		refuse("listen", "plain HTTP on a public address shows every password on the way: set tls-cert and tls-key, or say --behind-proxy when a proxy in front speaks TLS, or listen on 127.0.0.1")
	}
	secret := string(c.Users.IdentitySecret)
	if secret == "" && from["identity-secret"].set() {
		refuse("identity-secret", "it is set, and empty; leave it away to have no outside identities")
	}
	if secret != "" && wellKnown(secret) {
		refuse("identity-secret", "it is an example's; `openssl rand -hex 32` makes a good one")
	}
	if c.Review.URL != "" && wellKnown(string(c.ReviewSecret)) {
		refuse("review-secret", "it is an example's; `openssl rand -hex 32` makes a good one")
	}
	for _, i := range c.Users.Issuers {
		if i.Secret != "" && wellKnown(string(i.Secret)) {
			refuse("issuers", "the secret in %s is an example's; `openssl rand -hex 32` makes a good one", i.SecretFile)
		}
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// wellKnown says whether a secret looks copied out of a text: it has a word that
// only examples have, or too few different characters to be random.
func wellKnown(secret string) bool {
	lower := strings.ToLower(secret)
	for _, word := range []string{"secret", "change", "example", "password", "troupe", "0123456789", "test", "demo", "your-"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	different := map[rune]bool{}
	for _, r := range secret {
		different[r] = true
	}
	return len(different) < 8
}
