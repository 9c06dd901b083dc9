package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// deployed is one way in deploy/ to run a node: what the program is started with.
type deployed struct {
	args  []string          // behind serve
	env   map[string]string // TROUPE_* variables
	files map[string]string // where a file that settings name comes from in this tree, "": it is the operator's
}

// foreign are variables of deploy/ that are not the program's.
var foreign = map[string]string{
	"TROUPE_SITE": "compose.yaml hands it to the proxy",
}

var variable = regexp.MustCompile(`TROUPE_[A-Z][A-Z0-9_]*[A-Z0-9]`)

func TestWhatDeployNamesTheProgramHas(t *testing.T) {
	known := variables(settings(new(Config)))
	for _, file := range append(deployFiles(t), "docs/operate.md") {
		for _, name := range variable.FindAllString(read(t, file), -1) {
			if !slices.Contains(known, name) && foreign[name] == "" {
				t.Errorf("%s: there is no variable %s", file, name)
			}
		}
	}
}

func TestTheProgramTakesTheSettingsThatDeployGives(t *testing.T) {
	for name, d := range map[string]deployed{
		"Dockerfile":    {env: theImage(t).env},
		"systemd":       unit(t).deployed(),
		"compose, one":  composed(t, "troupe1"),
		"compose, two":  composed(t, "troupe2"),
		"Kubernetes":    pod(t),
		"Docker, alone": {env: merged(theImage(t).env, map[string]string{"TROUPE_BEHIND_PROXY": "true"})},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "Dockerfile" { // it alone says nothing about TLS, and so does not start on the open internet
				if err := d.check(t); err == nil || !strings.Contains(err.Error(), "listen") {
					t.Errorf("the image by itself is served in the open: %v", err)
				}
				return
			}
			if err := d.check(t); err != nil {
				t.Error(err)
			}
			if d.env["TROUPE_PROFILE"] != prod && name != "systemd" {
				t.Errorf("profile %q, want prod", d.env["TROUPE_PROFILE"])
			}
		})
	}
}

// check reads the settings as `troupe serve` does. Files that are elsewhere there are
// here in a directory of the test's own.
func (d deployed) check(t *testing.T) error {
	t.Helper()
	dir := t.TempDir()
	local := func(text string) string {
		for _, there := range slices.SortedFunc(maps.Keys(d.files), func(a, b string) int { return len(b) - len(a) }) {
			if !strings.Contains(text, there) {
				continue
			}
			from := d.files[there]
			if from == "" {
				from = filepath.Join(dir, strings.ReplaceAll(there, "/", "_"))
				if err := os.WriteFile(from, []byte(operators(there)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text = strings.ReplaceAll(text, there, from)
		}
		return text
	}
	var args, environ []string
	for _, a := range d.args {
		args = append(args, local(a))
	}
	for name, value := range d.env {
		environ = append(environ, name+"="+local(value))
	}
	l, err := loadConfig(args, environ, nil)
	if err != nil {
		return err
	}
	if len(l.args) > 0 {
		return fmt.Errorf("serve takes no %q", l.args)
	}
	return l.check(l.from)
}

// operators is what an operator would have put into a file.
func operators(name string) string {
	papers := madePapers()
	ca, cert, key := papers[0], papers[1], papers[2]
	switch {
	case strings.Contains(name, "mongo"):
		return "mongodb://troupe:6b1f0c9d@mongo1,mongo2,mongo3/troupe?replicaSet=rs0"
	case strings.HasSuffix(name, "node_ca"), strings.HasSuffix(name, "/ca.crt"):
		return ca
	case strings.HasSuffix(name, "node_cert"), strings.HasSuffix(name, "/tls.crt"):
		return cert
	case strings.HasSuffix(name, "node_key"), strings.HasSuffix(name, "/tls.key"):
		return key
	}
	return "6b1f0c9d2e7a4853b09c1d6e5f2a7384c0de91ab"
}

// madePapers are what nodes show each other: an authority, a certificate and its key.
var madePapers = sync.OnceValue(func() (made [3]string) {
	own := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	signer, node := own(), own()
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}
	one := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, DNSNames: []string{"troupe-node"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	pemOf := func(kind string, der []byte, err error) string {
		if err != nil {
			panic(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, signer.Public(), signer)
	made[0] = pemOf("CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, one, authority, node.Public(), signer)
	made[1] = pemOf("CERTIFICATE", der, err)
	der, err = x509.MarshalECPrivateKey(node)
	made[2] = pemOf("EC PRIVATE KEY", der, err)
	return made
})

// Nothing in deploy/ has a secret that whoever reads it knows, too.
func TestDeployHasNoSecretOfItsOwn(t *testing.T) {
	given := regexp.MustCompile(`(?i)(password|secret|token|passwd|requirepass|masterauth|private_key)["']?\s*[:=]\s*["']?([A-Za-z0-9+/_-]{6,})["']?\s*$`)
	inURL := regexp.MustCompile(`://[^/\s:@]*:([^@\s/]+)@`)
	for _, file := range deployFiles(t) {
		for i, line := range strings.Split(read(t, file), "\n") {
			if m := given.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[2], "/") && !strings.Contains(line, "secrets/") && !slices.Contains([]string{"troupe-tls", "troupe"}, m[2]) {
				t.Errorf("%s:%d: %q looks like a secret", file, i+1, m[2])
			}
			if m := inURL.FindStringSubmatch(line); m != nil && !strings.ContainsAny(m[1], "$'") && m[1] != "PASSWORD" {
				t.Errorf("%s:%d: a password stands in an address", file, i+1)
			}
		}
	}
}

func deployFiles(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("deploy", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "secrets" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are those of a YAML file.
func documents[T any](t *testing.T, file string) (all []T) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(read(t, file))); ; {
		var one T
		err := d.Decode(&one)
		if err != nil && err.Error() == "EOF" {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, one)
	}
}

func merged(all ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, one := range all {
		maps.Copy(m, one)
	}
	return m
}
