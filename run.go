package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/face"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/filectr/review"
	"github.com/troupe-im/troupe/gateway"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams"
	"github.com/troupe-im/troupe/internal/search"
	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
	webembed "github.com/troupe-im/troupe/web-embed"
)

// server is everything, plugged together.
type server struct {
	cfg     *Config
	log     *slog.Logger
	started time.Time

	*data
	links   *preview.Center
	node    *actors.Node
	streams *redisstreams.Streams // nil: this node is alone
	gateway *gateway.Server
	search  *search.Center
	models  *model.Gateway
	desks   *desk.Desks
	remote  *remote.Center // bots that run elsewhere
	bots    *plugins.Host
	public  net.Listener
	private net.Listener // the admin socket

	elsewhere    sync.WaitGroup // remote, as long as reaching goes on
	reaching     context.Context
	stopReaching context.CancelFunc
	housekeeping sync.WaitGroup
	keeping      context.Context
	stopKeeping  context.CancelFunc
	notices      *actors.Notices
	stopNotices  func()     // waits until none is going out
	failed       chan error // the public listener's end, unless it was stopped
}

// start opens the data directory and serves it. fatal is called, once or more,
// when the store can no longer be written: nothing more can be promised then, so it
// should end the process.
func start(cfg *Config, log *slog.Logger, fatal func(error)) (_ *server, err error) {
	s := &server{cfg: cfg, log: log, started: time.Now(), failed: make(chan error, 1)}
	s.keeping, s.stopKeeping = context.WithCancel(context.Background())
	s.reaching, s.stopReaching = context.WithCancel(context.Background())
	cfg.Store.Fatal, cfg.Actors.Fatal = fatal, fatal
	cfg.Users.Turn, cfg.Files.Turn, cfg.Search.Turn = s.turn("users"), s.turn("files"), s.turn("search")
	if s.data, err = openData(cfg, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.Background()))
		}
	}()
	if s.links, err = preview.New(cfg.Links, s.store, time.Now, log); err != nil {
		return nil, err
	}
	streams, err := s.openStreams(context.Background())
	if err != nil {
		return nil, err
	}
	s.node = actors.New(cfg.Actors, s.store, streams, s.users, log)
	s.search = search.New(cfg.Search, s.store, time.Now, log)
	s.users.OnRevoke(s.kick)
	s.notices = actors.NewNotices(s.node, s.store, everybody{s.data}, log)
	s.users.FollowActivity(activity{s})
	s.node.UseFiles(s.files)
	s.files.UseFaces(shown{s})
	s.node.UseReleases(s.files)
	s.users.UseReleases(s.files)
	if cfg.Review.URL != "" {
		s.files.UseReviewer(review.New(cfg.Review, time.Now))
	}
	s.files.OnDeal(func(ctx context.Context, f *filectr.File, d *filectr.Deal) error {
		return s.users.Dealt(ctx, d.By, f.ID, string(d.State), d.Reason)
	})
	s.users.FollowSessions(s.node)
	s.users.OnDevice(func(user protocol.UserID, device string, code protocol.Code) {
		s.node.KickDevice(user, device, code, "the device is signed out")
	})
	s.users.OnProfile(s.shows)
	s.users.OnApps(func() { s.node.Changed(changedApps, "") })
	s.users.OnApp(func(app string) { s.node.KickApp(app, protocol.Code_UNAUTHORIZED, "the application was removed") })
	if err = s.newBots(); err != nil {
		return nil, err
	}
	if s.gateway, err = s.plug(s.users); err != nil {
		return nil, err
	}
	if s.public, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, err
	}
	if cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("tls-cert, tls-key: %w", err)
		}
		s.public = tls.NewListener(s.public, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	if s.private, err = listenAdmin(cfg.Data); err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	if err := s.users.Started(context.Background(), version(), cfg.inForce()); err != nil {
		return nil, err
	}
	if err = s.joinNodes(s.keeping); err != nil {
		return nil, err
	}
	s.stopNotices = s.sendNotices()
	keeping := s.keeping
	s.housekeeping.Go(func() {
		if err := s.users.Run(keeping); err != nil {
			log.Error("the user centre's housekeeping ended", "err", err)
		}
	})
	s.housekeeping.Go(func() {
		if err := s.files.Run(keeping); err != nil {
			log.Error("the file centre's housekeeping ended", "err", err)
		}
	})
	s.housekeeping.Go(func() { s.search.Run(keeping) })
	s.housekeeping.Go(func() { serveAdmin(s.private, s, log) })
	s.housekeeping.Go(func() { giveBack(keeping, s.store.Trim, log) })
	s.housekeeping.Go(func() { s.operator().goOnErasing(keeping) })
	s.housekeeping.Go(func() { s.models.Run(keeping) })
	s.elsewhere.Go(func() { s.remote.Run(s.reaching) })
	if err := s.bots.Start(); err != nil {
		return nil, err
	}
	go func() {
		if err := s.gateway.Serve(s.public); err != nil {
			s.failed <- err
		}
	}()
	return s, nil
}

// plug makes the gateway with all that it serves. auth says whose a token is.
func (s *server) plug(auth gateway.Authenticator) (*gateway.Server, error) {
	g, err := gateway.New(s.cfg.Gateway, gateway.Needs{
		Actors: gateway.OfNode(s.node), Auth: auth, Home: s.store, Profiles: profiles{s.users}, Search: finder{s}, Origins: s.users, Notices: noticeDesk{s.notices, s.users}, Judges: judges{s.node, s.users}, Log: s.log,
		Ready:  map[string]func(context.Context) error{"store": func(context.Context) error { return s.store.Ready() }, "files": s.files.Ready},
		CutOff: s.node.CutOff,
	})
	if err != nil {
		return nil, err
	}
	site := s.site()
	for _, path := range webembed.Patterns {
		g.Handle(path, site)
	}
	s.users.Register(g.API())
	if err := s.files.Register(g.API()); err != nil {
		return nil, err
	}
	s.links.Register(g.API())
	s.registerAdmin(g.API())
	s.registerBots(g.API())
	s.registerRemote(g.API())
	s.desks.Register(g.API())
	for _, path := range []string{remote.ConnectPath, remote.CallsPath, remote.HooksPath + "*"} {
		g.Handle(path, s.remote)
	}
	if err := g.Metrics().Register(botMetrics{s}); err != nil {
		return nil, err
	}
	if err := g.Metrics().Register(nodeMetrics{s}); err != nil {
		return nil, err
	}
	return g, g.Rows()
}

// stop lets go of everything in order: no new connections, clients are asked to
// come back, what was accepted is committed and answered, then the store closes.
// ctx bounds the waiting, not the closing.
func (s *server) stop(ctx context.Context) error {
	var all []error
	if s.gateway != nil {
		s.gateway.Refuse()
	}
	if s.stopNotices != nil {
		s.stopNotices()
	}
	s.stopBots(ctx)
	s.stopKeeping() // it ends meanwhile
	if s.node != nil {
		s.node.Drain(ctx, retryIn)
	}
	if s.gateway != nil {
		if err := s.gateway.Shutdown(ctx); err != nil {
			s.log.Warn("clients were cut off", "err", err)
		}
	}
	if s.public != nil {
		if err := s.public.Close(); !errors.Is(err, net.ErrClosed) {
			all = append(all, err)
		}
	}
	if s.private != nil {
		all = append(all, s.private.Close(), os.Remove(s.cfg.Data+"/"+adminSocket))
	}
	s.stopHousekeeping(ctx)
	if s.streams != nil {
		all = append(all, s.streams.Close())
	}
	if s.data != nil {
		all = append(all, s.data.close())
	}
	return errors.Join(all...)
}

// retryIn is what clients are told to wait before they come back: about what a restart takes.
const retryIn = time.Second

// address is where a browser on this machine finds the server.
func (s *server) address() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.public.Addr().String())
	if err != nil {
		return s.public.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (s *server) status() status {
	sessions, users := s.node.Loaded()
	stats := s.node.Stats()
	return status{
		Version: version(), Profile: s.cfg.Profile, Address: s.address(), Process: os.Getpid(), Started: s.started,
		Connections: s.node.Connections(), Sessions: sessions, Users: users,
		Acked: stats.Acked.Load(), Delivered: stats.Delivered.Load(), Panics: stats.Panics.Load(),
	}
}

// later does what goes on behind an answer, until the server stops.
func (s *server) later(do func(ctx context.Context)) {
	s.housekeeping.Go(func() { do(s.keeping) })
}

func (s *server) operator() *operator {
	return &operator{data: s.data, cfg: s.cfg, live: s, node: s.node, erase: s.cfg.EraseMessages, log: s.log}
}

func (s *server) createUser(ctx context.Context, n userctr.NewUser) (*userctr.User, error) {
	return s.users.CreateUser(ctx, n)
}

// finder is the search as the gateway asks for it: with sessions' pictures.
type finder struct{ s *server }

func (f finder) Find(ctx context.Context, user protocol.UserID, q search.Query) (*search.Page, error) {
	page, err := f.s.search.Find(ctx, user, q)
	if err == nil {
		for _, h := range page.Hits {
			f.s.node.Dress(h.Info, user)
		}
	}
	return page, err
}

// profiles is the user centre as the gateway asks for it.
type profiles struct{ *userctr.Center }

func (p profiles) Avatars(ctx context.Context, ids []protocol.UserID) (map[protocol.UserID]string, error) {
	found, err := p.Profiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	avatars := make(map[protocol.UserID]string, len(found))
	for _, f := range found {
		avatars[f.UserId] = f.Avatar
	}
	return avatars, nil
}

// shown is who shows what, as the file centre asks for it.
type shown struct{ s *server }

func (f shown) Person(ctx context.Context, who *protocol.Identity, user protocol.UserID) (*filectr.Shown, error) {
	if f.s.users.MayKnow(who, user) {
		found, err := f.s.users.Profiles(ctx, []protocol.UserID{user})
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return &filectr.Shown{ID: user, Avatar: found[0].Avatar}, nil
		}
	}
	return nil, protocol.NotFound("user %.64q", user)
}

func (f shown) Session(ctx context.Context, who *protocol.Identity, session protocol.SessionID) (*filectr.Group, error) {
	if who.User != "" { // a path is shown to whoever has it, and outlives a sign-in
		switch u, err := f.s.users.User(ctx, who.User); {
		case err != nil:
			return nil, err
		case u.Disabled:
			return nil, protocol.NotFound("session %.64q", session)
		}
	}
	frame, err := f.s.node.Ask(ctx, *who, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, Limit: face.MaxTiles}}})
	if err != nil {
		return nil, err
	}
	r := frame.GetSessionGetReply()
	g := &filectr.Group{Shown: filectr.Shown{ID: session, Avatar: r.Info.Avatar}}
	faces := make(map[protocol.UserID]string, len(r.Users))
	for _, p := range r.Users {
		faces[p.UserId] = p.Avatar
	}
	for _, m := range r.Info.Members {
		g.Members = append(g.Members, filectr.Shown{ID: m.User, Avatar: faces[m.User]})
		if r.Info.SessionType == protocol.SessionType_P2P && m.User != who.User {
			g.Peer = &g.Members[len(g.Members)-1]
		}
	}
	return g, nil
}

// activity is what the user centre asks about who talks with whom.
type activity struct{ s *server }

func (a activity) LastTogether(ctx context.Context, x, y protocol.UserID) (time.Time, error) {
	row, err := a.s.store.HomeOf(ctx, x, protocol.P2PSessionID(x, y), "")
	switch {
	case protocol.Code_NOT_FOUND.Is(err), err == nil && row.Last == nil:
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	return time.UnixMilli(row.Last.CreatedAt), nil
}

func (a activity) BlockedBy(ctx context.Context, user protocol.UserID, ids []protocol.UserID) ([]protocol.UserID, error) {
	return a.s.node.BlockedBy(ctx, user, ids)
}
