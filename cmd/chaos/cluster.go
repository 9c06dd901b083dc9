package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
	"github.com/troupe-im/troupe/cmd/chaos/proxy"
)

// cluster is what only an installation of several nodes has.
type cluster struct {
	Troubles int           // how many things go wrong; 0: each kind once
	Faults   string        // which kinds, with commas; "": all
	Sentinel bool          // Redis is a master and a replica under three Sentinels
	Mongo    string        // the address (host:port) of a MongoDB to use; "": a FerretDB is started
	MongoSet string        // options of its URI
	Ferret   string        // FerretDB's program
	Dump     string        // the program that reads the database
	Patience time.Duration // a device leaves a connection on which nothing is answered for so long
	Lag      time.Duration // after which all nodes know what one has acknowledged
	Leaves   time.Duration // what a node may take to stop; 0: not judged
	Answers  time.Duration // every session acknowledges again within this time, whatever happens
}

// database is the name of the one that the nodes share.
const database = "troupe"

// installation is nodes that share a Redis and a MongoDB. Between each of them and all
// that it speaks to there is a link that can be made to fail.
type installation struct {
	r     *run
	nodes []*member
	redis *redis
	store *daemon // FerretDB; nil: somebody else's MongoDB
	mongo string  // its address
}

// member is one node with what leads to it and from it.
type member struct {
	*server
	front, peers, toRedis, toMongo *proxy.Link
	mu                             sync.Mutex
	hidden                         bool // clients are not told of it
}

// links of a member, for those that break all.
func (m *member) links() []*proxy.Link {
	all := []*proxy.Link{m.front, m.peers, m.toMongo}
	if m.toRedis != nil {
		all = append(all, m.toRedis)
	}
	return all
}

func newInstallation(r *run) (_ *installation, err error) {
	i := &installation{r: r, mongo: r.Cluster.Mongo}
	if i.mongo == "" {
		if i.mongo, err = freeAddress(); err != nil {
			return nil, err
		}
		data := filepath.Join(r.Dir, "ferret")
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, err
		}
		i.store = &daemon{name: "ferret", program: r.Cluster.Ferret, args: []string{i.mongo, data}, address: i.mongo, log: filepath.Join(r.Dir, "ferret.log"), held: true}
	}
	if i.redis, err = newRedis(r.Dir, r.Cluster.Sentinel); err != nil {
		return nil, err
	}
	papers, err := makePapers(filepath.Join(r.Dir, "papers"))
	if err != nil {
		return nil, err
	}
	for n := range r.Nodes {
		if err := i.add(fmt.Sprintf("n%d", n+1), papers); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// add makes a node that does not run yet.
func (i *installation) add(name string, p papers) error {
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	m := &member{}
	for _, l := range []struct {
		link   **proxy.Link
		target string
	}{{&m.peers, listen}, {&m.toRedis, i.redis.address()}, {&m.toMongo, i.mongo}} {
		if l.target == "" {
			continue
		}
		if *l.link, err = proxy.New(l.target); err != nil {
			return err
		}
	}
	at := i.redis.url("")
	if m.toRedis != nil {
		at = i.redis.url(m.toRedis.Addr())
	}
	uri := "mongodb://" + m.toMongo.Addr() + "/" + database + i.r.Cluster.MongoSet
	m.server, err = newServer(i.r, name, i.r.Binary, filepath.Join(i.r.Dir, "data-"+name),
		"TROUPE_MONGO="+uri, "TROUPE_REDIS="+at, "TROUPE_NODE_LISTEN="+listen, "TROUPE_NODE_ADVERTISE="+m.peers.Addr(),
		"TROUPE_NODE_CERT="+p.cert, "TROUPE_NODE_KEY="+p.key, "TROUPE_NODE_CA="+p.ca,
		"TROUPE_SECRETS="+p.secrets, "TROUPE_FILES_DIR="+filepath.Join(i.r.Dir, "files"))
	if err != nil {
		return err
	}
	m.front, err = proxy.New(m.listen)
	i.nodes = append(i.nodes, m)
	return err
}

func (i *installation) String() string {
	return fmt.Sprintf("%d nodes, things that go wrong", len(i.nodes))
}

// places are those of the nodes that clients are told of.
func (i *installation) places() (all []place) {
	for _, m := range i.nodes {
		m.mu.Lock()
		if !m.hidden {
			all = append(all, place{m.name, m.front.Addr()})
		}
		m.mu.Unlock()
	}
	if len(all) == 0 {
		all = append(all, place{i.nodes[0].name, i.nodes[0].front.Addr()})
	}
	return all
}

func (m *member) hide(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hidden = yes
}

// start has the store and Redis run, then the nodes, one after the other.
func (i *installation) start(ctx context.Context) error {
	if i.store != nil {
		if err := i.store.start(ctx); err != nil {
			return err
		}
	}
	if err := i.redis.start(ctx); err != nil {
		return err
	}
	for _, m := range i.nodes {
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts a node and waits until it serves.
func (m *member) start(ctx context.Context) error {
	if err := m.server.start(); err != nil {
		return err
	}
	return m.ready(ctx)
}

// each does something to all nodes at once.
func (i *installation) each(do func(m *member) error) error {
	errs := make([]error, len(i.nodes))
	var all sync.WaitGroup
	for n, m := range i.nodes {
		all.Go(func() { errs[n] = do(m) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (i *installation) dump(ctx context.Context) error {
	if err := i.each(func(m *member) error { return m.kill() }); err != nil {
		return err
	}
	if err := i.r.dump(ctx, i.r.Cluster.Dump, "mongodb://"+i.mongo+"/"+database+i.r.Cluster.MongoSet); err != nil {
		return err
	}
	if err := i.redis.flush(); err != nil { // what was only there is gone
		return err
	}
	return i.each(func(m *member) error { return m.start(ctx) })
}

func (i *installation) explain() {
	for _, m := range i.nodes {
		m.explain()
	}
}

func (i *installation) stop() {
	_ = i.each(func(m *member) error { // what runs is ended; how is in its log
		if m.cmd != nil && m.cmd.Process != nil {
			_ = m.cmd.Process.Signal(syscall.SIGCONT)
		}
		m.server.stop()
		for _, l := range m.links() {
			if l != nil {
				_ = l.Close()
			}
		}
		return nil
	})
	i.redis.kill()
	if i.store != nil {
		i.store.kill()
	}
}

// fault tells the history that something begins, mend that it is over.
func (i *installation) fault(t trouble, m *member) {
	e := &history.Event{T: i.r.now(), What: history.Fault, Verb: t.name, Dark: t.dark, Deaf: t.deaf}
	if m != nil {
		e.Node = m.name
	}
	i.r.chaos.Add(e)
	i.r.say("  %6.1f s  %s %s", float64(e.T)/1e9, t.name, e.Node)
}

func (i *installation) mend(what string, m *member) {
	e := &history.Event{T: i.r.now(), What: history.Mend, Verb: what}
	if m != nil {
		e.Node = m.name
	}
	i.r.chaos.Add(e)
}
