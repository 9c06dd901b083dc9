package redisstreams

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURLReadsAddresses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]Config{
		"redis://localhost":               {Addrs: []string{"localhost:6379"}},
		"redis://10.0.0.1:7000/3":         {Addrs: []string{"10.0.0.1:7000"}, DB: 3},
		"redis://[::1]":                   {Addrs: []string{"[::1]:6379"}},
		"redis://[::1]:7000":              {Addrs: []string{"[::1]:7000"}},
		"redis://ann:s%40cret%3A@r":       {Addrs: []string{"r:6379"}, User: "ann", Password: "s@cret:"},
		"redis://:only@r":                 {Addrs: []string{"r:6379"}, Password: "only"},
		"redis://r?password-file=" + file: {Addrs: []string{"r:6379"}, Password: "from a file"},
		"redis://r?prefix=chat&timeout=3s&pool=20&pool-timeout=1s": {
			Addrs: []string{"r:6379"}, Prefix: "chat", Timeout: 3 * time.Second, PoolSize: 20, PoolTimeout: time.Second,
		},
		"redis-sentinel://a,b:26380,c/main/2?sentinel-user=s": {
			Kind: Sentinel, Addrs: []string{"a:26379", "b:26380", "c:26379"}, Master: "main", DB: 2, SentinelUser: "s",
		},
		"redis-cluster://u:p@a:7001,b": {Kind: Cluster, Addrs: []string{"a:7001", "b:6379"}, User: "u", Password: "p"},
	} {
		got, err := ParseURL(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, want %+v", in, got, want)
		}
	}
	c, err := ParseURL("rediss-cluster://a,b?server-name=redis.example")
	if err != nil || c.TLS == nil || c.TLS.ServerName != "redis.example" {
		t.Errorf("rediss-cluster: %+v, %v", c, err)
	}
}

func TestParseURLSaysWhatIsWrongAndNeverThePassword(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "begins with",
		"localhost:6379":                    "begins with",
		"http://localhost":                  "begins with",
		"redis://":                          "a host is missing",
		"redis://a:s3cret@":                 "a host is missing",
		"redis://a,b":                       "redis-sentinel:// or redis-cluster://",
		"redis://a:port":                    `"port" is not a port`,
		"redis://a:70000":                   `"70000" is not a port`,
		"redis://:6379":                     "is not host:port",
		"redis://a/main":                    "is not the number of a database",
		"redis://a/-1":                      "is not the number of a database",
		"redis-sentinel://a,b":              "name of the master is missing",
		"redis-cluster://a/1":               "has no databases",
		"redis://u:s3cret%zz@a":             "special characters",
		"redis://u:s3cret/@a":               "special characters",
		"redis://u:s3cret#@a":               "write # as",
		"redis://a?pool=3":                  "4 to 1000",
		"redis://a?timeout=2":               "a time such as 2s",
		"redis://a?prefix=":                 "without braces",
		"redis://a?prefix={x}":              "without braces",
		"redis://a?what=s3cret":             `"what": there is no such option`,
		"redis://a?%zz":                     "name=value",
		"redis://a?ca=/x":                   "are for rediss",
		"redis://a?sentinel-user=x":         "only redis-sentinel",
		"redis://a?password-file=/none":     "no such file",
		"rediss://a?ca=/none":               "no such file",
		"rediss://a?cert=/x":                "together",
		"rediss://a?cert=/none&key=/s3cret": "options cert, key",
	} {
		_, err := ParseURL(in)
		switch {
		case err == nil:
			t.Errorf("%s is read", in)
		case !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want something of %q", in, err, want)
		case strings.Contains(err.Error(), "s3cret") && !strings.Contains(in, "key="):
			t.Errorf("%s: the error says what is secret: %v", in, err)
		}
	}
}

func TestAnAddressIsLoggedWithoutSecrets(t *testing.T) {
	c, err := ParseURL("redis-sentinel://ann:s3cret@a,b/main")
	if err != nil {
		t.Fatal(err)
	}
	if s := c.String(); strings.Contains(s, "s3cret") || !strings.Contains(s, "main") || !strings.Contains(s, "b:26379") {
		t.Errorf("logged as %s", s)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis-sentinel://ann:s%40cret@a,[::1]:26380/main/2?prefix=x&pool=9")
	f.Fuzz(func(t *testing.T, in string) {
		c, err := ParseURL(in)
		if err == nil && (len(c.Addrs) == 0 || c.Addrs[0] == "" || c.Kind == Sentinel && c.Master == "") {
			t.Errorf("%q is read as %+v", in, c)
		}
	})
}
