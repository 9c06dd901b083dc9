package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

type compose struct {
	Services map[string]composeService
	Networks map[string]struct {
		Internal bool
		IPAM     struct{ Config []struct{ Subnet string } }
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

type composeService struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Grace       string   `yaml:"stop_grace_period"`
	Tmpfs       []string
	Networks    []string
	NetworkMode string `yaml:"network_mode"`
	Secrets     []string
	Environment map[string]string
	Volumes     []string
	DependsOn   map[string]any `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
}

const composeDir = "deploy/compose/"

func composeFile(t *testing.T) compose {
	t.Helper()
	return documents[compose](t, composeDir+"compose.yaml")[0]
}

// composed is one of its nodes.
func composed(t *testing.T, name string) deployed {
	t.Helper()
	s, ok := composeFile(t).Services[name]
	if !ok {
		t.Fatalf("compose.yaml has no %s", name)
	}
	d := deployed{args: nil, env: merged(theImage(t).env, s.Environment), files: map[string]string{}}
	for _, secret := range s.Secrets {
		d.files["/run/secrets/"+secret] = ""
	}
	d.files["/shared/secrets.json"] = "" // the service shared puts it there
	return d
}

func TestComposeFitsTogether(t *testing.T) {
	c := composeFile(t)
	nodes := 0
	for name, s := range c.Services {
		for _, other := range append(s.Networks, slices.Collect(keys(s.DependsOn))...) {
			if _, network := c.Networks[other]; !network && c.Services[other].Image == "" {
				t.Errorf("%s names %s, which is not there", name, other)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s uses the secret %s, which is not there", name, secret)
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)passw|secret`).MatchString(key) && !strings.HasPrefix(value, "/") { // it is a file
				t.Errorf("%s: %s stands in the environment", name, key)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[from]; ok {
				continue
			}
			if _, err := os.Stat(composeDir + from); err != nil {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
		if !strings.Contains(s.Image, ":") && s.Build.Context == "" {
			t.Errorf("%s: the image %q has no version", name, s.Image)
		}
		if s.Build.Context == "" {
			continue
		}
		nodes++
		if s.User != theImage(t).user || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may too much: user %q, read-only %v, drops %v, %v", name, s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if _, err := os.Stat(filepath.Join(composeDir, s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
		d := composed(t, name)
		drain, err := time.ParseDuration(d.env["TROUPE_DRAIN"])
		if err != nil {
			t.Fatal(err)
		}
		if grace, err := time.ParseDuration(s.Grace); err != nil || grace < drain+5*time.Second {
			t.Errorf("%s is killed after %s (%v), drain is %v", name, s.Grace, err, drain)
		}
		if !strings.HasPrefix(d.env["TROUPE_NODE_ADVERTISE"], name+":") {
			t.Errorf("%s tells others that it is at %s", name, d.env["TROUPE_NODE_ADVERTISE"])
		}
		if subnet := c.Networks["edge"].IPAM.Config[0].Subnet; d.env["TROUPE_TRUSTED_PROXIES"] != subnet {
			t.Errorf("%s believes %s, the proxy is in %s", name, d.env["TROUPE_TRUSTED_PROXIES"], subnet)
		}
		for _, host := range regexp.MustCompile(`(?:mongo|redis|sentinel)\d`).FindAllString(d.env["TROUPE_REDIS"]+read(t, composeDir+"secrets.sh"), -1) {
			if c.Services[host].Networks == nil {
				t.Errorf("%s asks %s, which is not there", name, host)
			}
		}
		_, port, _ := strings.Cut(d.env["TROUPE_LISTEN"], ":")
		if !strings.Contains(read(t, composeDir+"Caddyfile"), name+":"+port) {
			t.Errorf("the proxy does not know %s:%s", name, port)
		}
	}
	if nodes < 2 {
		t.Errorf("%d nodes are no two", nodes)
	}
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Two runs make different secrets, a second run in one place keeps them, and what nodes
// show each other is signed by what they believe.
func TestSecretsAreMadeOnceAndAreNobodyElses(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl on the PATH")
	}
	made := func(dir string) map[string]string {
		if out, err := exec.Command("sh", composeDir+"secrets.sh", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all := map[string]string{}
		for name, s := range composeFile(t).Secrets {
			all[name] = read(t, filepath.Join(dir, filepath.Base(s.File)))
			if len(all[name]) < 32 {
				t.Errorf("%s is %q", name, all[name])
			}
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("others may look into %s: %v %v", dir, info.Mode(), err)
		}
		return all
	}
	dir, other := t.TempDir()+"/secrets", t.TempDir()+"/secrets"
	first, again, others := made(dir), made(dir), made(other)
	for name, text := range first {
		if again[name] != text {
			t.Errorf("a second run made another %s", name)
		}
		if others[name] == text {
			t.Errorf("everybody has the same %s", name)
		}
	}
	pair, err := tls.X509KeyPair([]byte(first["node_cert"]), []byte(first["node_key"]))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(first["node_ca"])) {
		t.Fatal("the authority is no certificate")
	}
	for _, node := range []string{"troupe-node"} { // the name that they know each other by
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: node, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Error(err)
			}
		}
	}
}
