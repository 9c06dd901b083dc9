package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams"
	"github.com/troupe-im/troupe/pushctr"
)

// nodeConfig says how a node is reached by the others.
type nodeConfig struct {
	Listen, Advertise string
	Cert, Key, CA     string // PEM files, all or none
	Insecure          bool   // none, and not on one machine
}

// checkNodes is the part of check about several nodes.
func (c *Config) checkNodes(refuse func(name, format string, args ...any)) {
	n := &c.Node
	if c.Redis == "" {
		if c.Users.Secrets != "" {
			refuse("secrets", "a node that is alone has them in data, where backups find them")
		}
		return
	}
	if _, err := redisstreams.ParseURL(string(c.Redis)); err != nil {
		refuse("redis", "%v", err)
	}
	if !c.shared() {
		refuse("redis", "several nodes need a store that they share, and what is kept in data is this node's own: set mongo as well, or leave redis away")
	}
	host, _, err := net.SplitHostPort(n.Listen)
	if err != nil {
		refuse("node-listen", "%q is not HOST:PORT, like 10.0.0.1:7946", n.Listen)
	}
	if ip := net.ParseIP(host); n.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		refuse("node-advertise", "other nodes cannot be told to reach %q: say at which address of this machine they do", n.Listen)
	}
	if n.Advertise != "" {
		if host, port, err := net.SplitHostPort(n.Advertise); err != nil || host == "" || port == "" || port == "0" {
			refuse("node-advertise", "%q is not HOST:PORT, like 10.0.0.1:7946", n.Advertise)
		}
	}
	switch files := []string{n.Cert, n.Key, n.CA}; {
	case n.Cert == "" && n.Key == "" && n.CA == "":
		if err == nil && !loopback(host) && !n.Insecure {
			refuse("node-listen", "whoever reaches it could speak as a node: set node-cert, node-key and node-ca, or listen on 127.0.0.1, or say --node-insecure where nobody else is on that network")
		}
	case n.Insecure:
		refuse("node-insecure", "there are certificates: leave it away")
	default:
		for i, name := range []string{"node-cert", "node-key", "node-ca"} {
			if files[i] == "" {
				refuse(name, "node-cert, node-key and node-ca belong together, and this one is missing")
			}
		}
		if n.Cert != "" && n.Key != "" && n.CA != "" {
			if _, err := peers.LoadTLS(n.Cert, n.Key, n.CA); err != nil {
				refuse("node-cert", "%v", err)
			}
		}
	}
}

// openStreams opens what carries events: Redis where several nodes share one.
func (s *server) openStreams(ctx context.Context) (actors.Streams, error) {
	if s.cfg.Redis == "" {
		return pushctr.NewLocal(), nil
	}
	c, err := redisstreams.ParseURL(string(s.cfg.Redis))
	if err != nil {
		return nil, err
	}
	if s.streams, err = redisstreams.Open(ctx, c, s.log); err != nil {
		return nil, err
	}
	s.cfg.Actors.Attendance = s.streams.Attendance()
	return s.streams, nil
}

// joinNodes makes this node one of several, where there is a Redis. From then on it is
// given sessions, so everything else is there by then.
func (s *server) joinNodes(ctx context.Context) error {
	if s.streams == nil {
		return nil
	}
	var certificates *tls.Config
	n := &s.cfg.Node
	if n.Cert != "" {
		var err error
		if certificates, err = peers.LoadTLS(n.Cert, n.Key, n.CA); err != nil {
			return err
		}
	}
	s.node.OnChanged(s.changedElsewhere)
	s.node.OnInquiry(s.desks.Inquired)
	key := hex.EncodeToString(s.users.Derive("nodes")[:8])
	err := s.node.JoinCluster(ctx, actors.Cluster{
		Members: s.streams.Members(key),
		Listen: func(take func(*peers.Envelope)) (peers.Transport, string, error) {
			r, err := peers.Listen(peers.RemoteConfig{Listen: n.Listen, Advertise: n.Advertise, TLS: certificates, Log: s.log}, take)
			if err != nil {
				return nil, "", fmt.Errorf("node-listen: %w", err)
			}
			return r, r.Address(), nil
		},
		Out: s.cfg.Actors.Fatal,
	})
	if err != nil {
		return err
	}
	s.housekeeping.Go(func() { s.followOthers(s.keeping) })
	return nil
}

// What nodes tell each other that they have changed.
const (
	changedLogin = "login"
	changedUser  = "user"
	changedApps  = "apps"
	changedBots  = "bots"     // that run elsewhere, and hooks
	changedSaid  = "bot-said" // nothing: a bot said something for another node
)

// changedElsewhere lets go of what a node says is not so any more.
func (s *server) changedElsewhere(kind, id string) {
	switch kind {
	case changedLogin:
		s.users.Ended(id)
	case changedUser:
		s.users.Doubt(id)
	case changedApps:
		s.later(func(ctx context.Context) {
			if err := s.users.Reload(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("what another node has changed is seen later", "err", err)
			}
		})
	case changedBots:
		s.later(func(ctx context.Context) {
			if err := s.remote.Reload(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("what another node has changed of bots is seen later", "err", err)
			}
		})
	case changedSaid:
		s.remote.Heard(id)
	case actors.ChangedNotices:
		s.notices.Poke()
	default:
		s.desks.Heard(kind, id)
	}
}

// followEvery bounds how long a change by another node goes unseen that nobody told, as
// Redis was away (reliability 4.1: 30 s).
const followEvery = 25 * time.Second

// followOthers reads again what other nodes may have changed.
func (s *server) followOthers(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.users.Doubt("")
		if err := s.users.Reload(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what other nodes have changed is not read", "err", err)
		}
		if err := s.remote.Reload(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what other nodes have changed of bots is not read", "err", err)
		}
	}
}

// stopHousekeeping waits until housekeeping has ended. Where the store is elsewhere that
// may take long, and no longer than ctx: another node takes it up.
func (s *server) stopHousekeeping(ctx context.Context) {
	s.endsWithin(ctx, "housekeeping", s.housekeeping.Wait)
}

// endsWithin waits for end, where the store is elsewhere and may not answer no longer than
// ctx: what is left then finds the store closed. One in a directory has to stay open so long.
func (s *server) endsWithin(ctx context.Context, what string, end func()) {
	if !s.cfg.shared() {
		end()
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		s.log.Warn("something has not ended in time", "what", what)
	}
}

// kick closes the connections of a login that has ended, at all nodes.
func (s *server) kick(user protocol.UserID, login string, code protocol.Code) {
	s.node.Changed(changedLogin, login)
	s.node.Kick(user, login, code, "the login has ended")
}

// shows tells all who see a user that it looks different now.
func (s *server) shows(p *protocol.Profile) {
	s.node.Changed(changedUser, p.UserId)
	s.node.Shows(p)
}

// turn says whether a piece of work that one node should do is this one's.
func (s *server) turn(work string) func() bool {
	return func() bool { return s.node == nil || s.node.Owns("work:"+work) }
}
