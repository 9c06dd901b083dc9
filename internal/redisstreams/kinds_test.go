package redisstreams

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/streamstest"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert, a.file, _ = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(name string, c *x509.Certificate) (key *ecdsa.PrivateKey, cert *x509.Certificate, certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(file, kind string, data []byte) string {
		file = filepath.Join(a.dir, file)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return file
	}
	return key, cert, write(name+".crt", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", raw)
}

func (a *authority) leaf(name string) (certFile, keyFile string) {
	_, _, certFile, keyFile = a.sign(name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return certFile, keyFile
}

func parse(t *testing.T, address string) Config {
	t.Helper()
	c, err := ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStreamsOverTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.leaf("server")
	mine, myKey := ours.leaf("client")
	port := freePort(t)
	redisServer(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ours.file, "--tls-auth-clients", "yes")
	address := "rediss://127.0.0.1:" + port
	good := address + "?ca=" + url.QueryEscape(ours.file) + "&cert=" + url.QueryEscape(mine) + "&key=" + url.QueryEscape(myKey)
	s := newScene(t, quick(parse(t, good)), quick(parse(t, good)))
	s.publish(100)
	s.complete()
	for what, bad := range map[string]string{
		"another authority": address + "?ca=" + url.QueryEscape(theirs.file),
		"the system's":      address,
		"another name":      good + "&server-name=redis.example",
	} {
		if streams, err := Open(context.Background(), parse(t, bad), quiet()); err == nil {
			streams.Close()
			t.Errorf("%s: connected", what)
		} else if !strings.Contains(err.Error(), "x509") && !strings.Contains(err.Error(), "tls") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// rights are those that docs/redis.md names.
const rights = "-@all +@connection -client +info +multi +exec +eval +get +set +setnx +del +exists +pexpire" +
	" +hset +hgetall +hdel +hkeys +hincrby +sadd +srem +smembers +srandmember +xadd +xread +xtrim"

func TestAUserOfRedisNeedsOnlyWhatIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(string(doc)), " "), strings.TrimPrefix(rights, "-@all ")) {
		t.Error("docs/redis.md names other rights")
	}
	r := redisServer(t)
	ctx := context.Background()
	rule := func(user, password, what string) {
		t.Helper()
		args := []any{"ACL", "SETUSER", user, "reset", "on", ">" + password, "~chat:*"}
		for _, w := range strings.Fields(what) {
			args = append(args, w)
		}
		if err := r.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	rule("troupe", "s3:cret", rights)
	rule("poor", "poor", strings.Replace(rights, "+xtrim", "", 1))
	if err := r.Do(ctx, "ACL", "SETUSER", "default", "off").Err(); err != nil {
		t.Fatal(err)
	}
	good := parse(t, "redis://troupe:s3%3Acret@"+r.addr()+"?prefix=chat")
	s := newScene(t, quick(good), quick(good))
	s.follow(s.publisher, "s:b")
	s.publisher.Unfollow("s:b")
	s.publish(100)
	s.complete()
	a := s.reader.Attendance()
	renew(t, a, "a", long)
	put(t, a, "a", "ann", "online", 1)
	find(t, a, "ann")
	lapsed(t, a)
	put(t, a, "a", "ann", "offline", 1)
	for what, bad := range map[string]string{
		"WRONGPASS": "redis://troupe:wrong@" + r.addr() + "?prefix=chat",
		"NOAUTH":    "redis://" + r.addr() + "?prefix=chat",
		"NOPERM":    "redis://troupe:s3%3Acret@" + r.addr() + "?prefix=other",
		"xtrim":     "redis://poor:poor@" + r.addr() + "?prefix=chat",
	} {
		streams, err := Open(ctx, parse(t, bad), quiet())
		if err == nil {
			streams.Close()
			t.Errorf("%s: connected", what)
		} else if !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "s3:cret") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// sentinels are a master, a replica and three that watch them.
type sentinels struct {
	t               *testing.T
	master, replica *server
	addrs           []string
	first           *redis.SentinelClient
}

func redisSentinels(t *testing.T) *sentinels {
	t.Helper()
	path := program(t, "redis-sentinel")
	s := &sentinels{t: t, master: redisServer(t)}
	s.replica = redisServer(t, "--replicaof", "127.0.0.1 "+s.master.port)
	eventually(t, "the replica does not follow", func() bool {
		return infoValue(s.replica.Info(context.Background(), "replication").Val(), "master_link_status") == "up"
	})
	for range 3 {
		port, dir := freePort(t), t.TempDir()
		conf := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %s 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", port, dir, s.master.port)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, conf)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		s.addrs = append(s.addrs, "127.0.0.1:"+port)
	}
	s.first = redis.NewSentinelClient(&redis.Options{Addr: s.addrs[0], MaxRetries: -1})
	t.Cleanup(func() { s.first.Close() })
	eventually(t, "the Sentinels do not find each other", func() bool {
		m := s.first.Master(context.Background(), "main").Val()
		return m["num-other-sentinels"] == "2" && m["num-slaves"] == "1"
	})
	return s
}

func (s *sentinels) address() string {
	return "redis-sentinel://" + strings.Join(s.addrs, ",") + "/main"
}

// promoted waits until the replica is the master.
func (s *sentinels) promoted(meanwhile func()) {
	s.t.Helper()
	eventually(s.t, "the replica is not made master", func() bool {
		meanwhile()
		return infoValue(s.replica.Info(context.Background(), "replication").Val(), "role") == "master"
	})
}

func TestAFailoverIsFollowed(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		does func(s *sentinels)
		ends func(s *sentinels)
	}{
		{"the master dies", func(s *sentinels) { s.master.kill() }, func(*sentinels) {}},
		{"the master sleeps, and wakes as a master", func(s *sentinels) { s.master.signal(syscall.SIGSTOP) }, func(s *sentinels) { s.master.signal(syscall.SIGCONT) }},
		{"the master is told to go", func(s *sentinels) {
			if err := s.first.Failover(context.Background(), "main").Err(); err != nil {
				s.t.Fatal(err)
			}
		}, func(*sentinels) {}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			watch := redisSentinels(t)
			c := parse(t, watch.address())
			s := newScene(t, c, c)
			s.publish(100)
			fault.does(watch)
			watch.promoted(func() { s.publish(1) })
			began := time.Now()
			s.live()
			t.Logf("followed %v after the promotion", time.Since(began))
			if took := time.Since(began); took > 10*time.Second { // promised are 3 s, on a machine that has the time
				t.Errorf("followed after %v", took)
			}
			s.lost(0) // as what was written last may have gone with the old master
			fault.ends(watch)
			s.live()
			s.publish(100)
			s.complete()
			s.prompt()
		})
	}
}

// redisCluster starts three masters that share the slots.
func redisCluster(t *testing.T) (nodes []*server, address string) {
	t.Helper()
	ctx := context.Background()
	var addrs []string
	for range 3 {
		nodes = append(nodes, redisServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf", "--cluster-port", freePort(t)))
	}
	for i, n := range nodes {
		first, last := i*16384/3, (i+1)*16384/3-1
		if err := n.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last).Err(); err != nil {
			t.Fatal(err)
		}
		bus := n.args[len(n.args)-1]
		if err := nodes[0].Do(ctx, "CLUSTER", "MEET", "127.0.0.1", n.port, bus).Err(); err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, n.addr())
	}
	for _, n := range nodes {
		eventually(t, "the cluster does not come together", func() bool {
			info := n.ClusterInfo(ctx).Val()
			return infoValue(info, "cluster_state") == "ok" && infoValue(info, "cluster_known_nodes") == strconv.Itoa(len(nodes))
		})
	}
	return nodes, "redis-cluster://" + strings.Join(addrs, ",")
}

func TestStreamsOverACluster(t *testing.T) {
	t.Parallel()
	_, address := redisCluster(t)
	n := 0
	streamstest.Run(t, func(t *testing.T) streamstest.Cluster {
		n++
		c := quick(parse(t, address+"?prefix=p"+strconv.Itoa(n)))
		return streamstest.Cluster{
			Node: func(t *testing.T) actors.Streams { return open(t, c) },
			Lose: func(t *testing.T, node actors.Streams) {
				s := node.(*Streams)
				if err := s.db.Del(context.Background(), s.place.Load().stream).Err(); err != nil {
					t.Error(err)
				}
			},
		}
	})
}

func TestAUserOfAClusterNeedsOnlyWhatIsDocumented(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	nodes, address := redisCluster(t)
	for _, n := range nodes {
		args := []any{"ACL", "SETUSER", "troupe", "reset", "on", ">secret", "~troupe:*"}
		for _, w := range strings.Fields(rights + " +cluster|slots") {
			args = append(args, w)
		}
		if err := n.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
		if err := n.Do(ctx, "ACL", "SETUSER", "default", "-@all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	c := quick(parse(t, strings.Replace(address, "redis-cluster://", "redis-cluster://troupe:secret@", 1)))
	s := newScene(t, c, c)
	s.publish(100)
	s.complete()
}

func TestAClusterWhoseMasterComesBackEmptyLosesNothingSilently(t *testing.T) {
	t.Parallel()
	nodes, address := redisCluster(t)
	c := parse(t, address)
	s := newScene(t, c, c)
	s.publish(100)
	for _, n := range nodes {
		before := s.lossesSoFar()
		n.kill()
		s.publish(100)
		n.start()
		n.ready()
		s.lost(before)
		t.Logf("live %v later", s.live())
	}
	s.publish(100)
	s.complete()
	s.prompt()
}

func TestGuardsStandInAllPartsOfACluster(t *testing.T) {
	s := &Streams{cfg: Config{Kind: Cluster}.withDefaults()}
	for i, key := range s.guards() {
		tag := key[strings.IndexByte(key, '{')+1 : len(key)-1]
		if got := slot(tag) / 1024; got != i {
			t.Errorf("guard %d stands in part %d", i, got)
		}
	}
	if got := slot("123456789"); got != 0x31C3 { // the check value of CRC-16/XMODEM
		t.Errorf("slot = %d", got)
	}
}
