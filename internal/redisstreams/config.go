package redisstreams

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Kind is how a Redis is reached.
type Kind int

// One server, a master that Sentinels name, a Redis Cluster.
const (
	Single Kind = iota
	Sentinel
	Cluster
)

// Config says where Redis is. A zero field means its written default.
type Config struct {
	Kind             Kind
	Addrs            []string // of the server, of Sentinels, of some nodes of the cluster
	Master           string   // its name, with Sentinel
	DB               int      // not with Cluster
	User, Password   string
	SentinelUser     string // of the Sentinels
	SentinelPassword string
	TLS              *tls.Config   // nil: none
	Prefix           string        // of all keys; default "troupe"
	Timeout          time.Duration // of connecting and of a command; default 2 s
	PoolSize         int           // connections besides the reader's; default 8
	PoolTimeout      time.Duration // how long one is waited for; default Timeout

	tuning
}

// tuning is what tests make faster.
type tuning struct {
	beat   time.Duration // between two looks at Redis; 1 s
	lease  time.Duration // a stream outlives its node by so long; 30 s
	wait   time.Duration // for a registration, by whoever follows; 1.5 s
	hold   time.Duration // what cannot be written is kept for so long; 3 s
	life   time.Duration // of an interest that nobody renews; 2 h
	queue  int           // bytes that wait for one node; 4 MiB
	length int64         // entries of a stream, about; 10,000

	memberBeat time.Duration // between two looks at who is there; 500 ms
	memberLife time.Duration // a node whose count stands still for so long is given up; 3 s
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.Prefix == "" {
		c.Prefix = "troupe"
	}
	if c.PoolSize == 0 {
		c.PoolSize = 8
	}
	def(&c.Timeout, 2*time.Second)
	def(&c.PoolTimeout, c.Timeout)
	def(&c.beat, time.Second)
	def(&c.lease, 30*time.Second)
	def(&c.memberBeat, 500*time.Millisecond)
	def(&c.memberLife, 3*time.Second)
	def(&c.wait, 1500*time.Millisecond)
	def(&c.hold, 3*time.Second)
	def(&c.life, 2*time.Hour)
	if c.queue == 0 {
		c.queue = 4 << 20
	}
	if c.length == 0 {
		c.length = 10_000
	}
	return c
}

// client connects with up to pool connections. It retries nothing: a command that
// may have been done twice, or a connection that was made anew behind our back, is
// what the streams have to know of.
func (c Config) client(pool int) redis.UniversalClient {
	const buffer = 32 << 10
	switch c.Kind {
	case Sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: c.Master, SentinelAddrs: c.Addrs, SentinelUsername: c.SentinelUser, SentinelPassword: c.SentinelPassword,
			Username: c.User, Password: c.Password, DB: c.DB, TLSConfig: c.TLS,
			MaxRetries: -1, DialerRetries: 1, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
			PoolSize: pool, PoolTimeout: c.PoolTimeout, PipelinePoolSize: -1, ReadBufferSize: buffer, WriteBufferSize: buffer, DisableIdentity: true,
		})
	case Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: c.Addrs, Username: c.User, Password: c.Password, TLSConfig: c.TLS,
			MaxRetries: -1, DialerRetries: 1, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
			PoolSize: pool, PoolTimeout: c.PoolTimeout, PipelinePoolSize: -1, ReadBufferSize: buffer, WriteBufferSize: buffer, DisableIdentity: true,
			ClusterStateReloadInterval: 2 * time.Second, FailingTimeoutSeconds: 1,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: c.Addrs[0], Username: c.User, Password: c.Password, DB: c.DB, TLSConfig: c.TLS,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
		PoolSize: pool, PoolTimeout: c.PoolTimeout, PipelinePoolSize: -1, ReadBufferSize: buffer, WriteBufferSize: buffer, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// schemes of an address, and the port where none is named.
var schemes = map[string]struct {
	kind Kind
	tls  bool
	port string
}{
	"redis":           {Single, false, "6379"},
	"rediss":          {Single, true, "6379"},
	"redis-sentinel":  {Sentinel, false, "26379"},
	"rediss-sentinel": {Sentinel, true, "26379"},
	"redis-cluster":   {Cluster, false, "6379"},
	"rediss-cluster":  {Cluster, true, "6379"},
}

// ParseURL reads an address, as docs/redis.md has it:
//
//	redis://[user:password@]host[:port][/db]
//	redis-sentinel://[user:password@]host[:port],host…/master[/db]
//	redis-cluster://[user:password@]host[:port],host…
//
// and with rediss the same over TLS. An error never has the password in it.
func ParseURL(address string) (Config, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	kind, known := schemes[scheme]
	if !ok || !known {
		return Config{}, fmt.Errorf("redis: an address begins with redis://, redis-sentinel:// or redis-cluster:// (rediss… for TLS)")
	}
	c := Config{Kind: kind.kind}
	rest, query, _ := strings.Cut(rest, "?")
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		return Config{}, fmt.Errorf("redis: write # as %%23 in an address")
	}
	at := strings.LastIndexByte(rest, '@')
	if at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		var err1, err2 error
		c.User, err1 = url.PathUnescape(user)
		c.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil || strings.Contains(rest[:at], "/") {
			return Config{}, fmt.Errorf("redis: write special characters of the user and the password as %%XX")
		}
	}
	hosts, path, _ := strings.Cut(rest[at+1:], "/")
	for _, host := range strings.Split(hosts, ",") {
		addr, err := withPort(host, kind.port)
		if err != nil {
			return Config{}, err
		}
		c.Addrs = append(c.Addrs, addr)
	}
	if c.Kind == Single && len(c.Addrs) > 1 {
		return Config{}, fmt.Errorf("redis: %d hosts: say redis-sentinel:// or redis-cluster://", len(c.Addrs))
	}
	if err := c.path(path); err != nil {
		return Config{}, err
	}
	return c, c.options(query, kind.tls)
}

// withPort is host:port. IPv6 addresses stand in brackets.
func withPort(host, port string) (string, error) {
	if host == "" {
		return "", fmt.Errorf("redis: a host is missing")
	}
	if strings.HasSuffix(host, "]") || !strings.Contains(host, ":") {
		host += ":" + port
	}
	name, number, err := net.SplitHostPort(host)
	if err != nil || name == "" {
		return "", fmt.Errorf("redis: %q is not host:port", host)
	}
	if n, err := strconv.Atoi(number); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("redis: %q is not a port", number)
	}
	return host, nil
}

// path is what stands behind the hosts.
func (c *Config) path(path string) error {
	if c.Kind == Cluster {
		if path != "" {
			return fmt.Errorf("redis: a cluster has no databases: nothing may follow the hosts")
		}
		return nil
	}
	if c.Kind == Sentinel {
		c.Master, path, _ = strings.Cut(path, "/")
		if c.Master == "" {
			return fmt.Errorf("redis: the name of the master is missing: redis-sentinel://HOSTS/NAME")
		}
	}
	if path == "" {
		return nil
	}
	var err error
	if c.DB, err = strconv.Atoi(path); err != nil || c.DB < 0 {
		return fmt.Errorf("redis: %q is not the number of a database", path)
	}
	return nil
}

// options are what stands behind the question mark.
func (c *Config) options(query string, secure bool) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("redis: what is behind ? is not name=value&name=value")
	}
	var ca, cert, key, name string
	for option, all := range values {
		v := all[len(all)-1]
		var err error
		switch option {
		case "prefix":
			if c.Prefix = v; v == "" || strings.ContainsAny(v, "{} \t\r\n") {
				err = fmt.Errorf("a name without braces and spaces is needed")
			}
		case "timeout":
			c.Timeout, err = positive(v)
		case "pool-timeout":
			c.PoolTimeout, err = positive(v)
		case "pool":
			if c.PoolSize, err = strconv.Atoi(v); err != nil || c.PoolSize < 4 || c.PoolSize > 1000 {
				err = fmt.Errorf("4 to 1000 is needed")
			}
		case "password-file":
			c.Password, err = secret(v)
		case "sentinel-user":
			c.SentinelUser = v
		case "sentinel-password-file":
			c.SentinelPassword, err = secret(v)
		case "ca":
			ca = v
		case "cert":
			cert = v
		case "key":
			key = v
		case "server-name":
			name = v
		default:
			err = fmt.Errorf("there is no such option")
		}
		if err != nil {
			return fmt.Errorf("redis: option %.32q: %w", option, err)
		}
	}
	if c.Kind != Sentinel && (c.SentinelUser != "" || c.SentinelPassword != "") {
		return fmt.Errorf("redis: only redis-sentinel:// has sentinel-user and sentinel-password-file")
	}
	if !secure {
		if ca+cert+key+name != "" {
			return fmt.Errorf("redis: ca, cert, key and server-name are for rediss, rediss-sentinel and rediss-cluster")
		}
		return nil
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	return c.certificates(ca, cert, key)
}

func positive(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("a time such as 2s is needed")
	}
	return d, nil
}

func secret(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func (c *Config) certificates(ca, cert, key string) error {
	if ca != "" {
		data, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("redis: option \"ca\": %w", err)
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(data) {
			return fmt.Errorf("redis: option \"ca\": %s has no certificates", ca)
		}
	}
	if (cert == "") != (key == "") {
		return fmt.Errorf("redis: options cert and key are said together or not at all")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("redis: options cert, key: %w", err)
		}
		c.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// String is for logs: without secrets.
func (c Config) String() string {
	kind := [...]string{"server", "Sentinels of " + c.Master + " at", "cluster at"}[c.Kind]
	return "Redis " + kind + " " + strings.Join(c.Addrs, ", ")
}
