package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/userctr"
)

func TestFlagsWinOverTheEnvironmentOverTheFileOverDefaults(t *testing.T) {
	file := writeConfig(t, "listen: 127.0.0.1:1\nrate: 3\nmax_text: 1KiB\nrecall-window: 1d\n")
	l, err := loadConfig(
		[]string{"--config", file, "--listen", "127.0.0.1:3", "rest"},
		[]string{"TROUPE_LISTEN=127.0.0.1:2", "TROUPE_RATE=4", "HOME=/root"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"listen":        {"127.0.0.1:3", "--listen"},
		"rate":          {"4", "TROUPE_RATE"},
		"max-text":      {"1024", file + ":3"},
		"recall-window": {"24h0m0s", file + ":4"},
		"edit-window":   {"15m0s", "default"},
		"profile":       {"dev", "default"},
	} {
		value := ""
		for _, s := range settings(&l.Config) {
			if s.name == name {
				value = s.show()
			}
		}
		if value != want[0] || l.from[name].String() != want[1] {
			t.Errorf("%s = %s from %s, want %s from %s", name, value, l.from[name], want[0], want[1])
		}
	}
	if len(l.args) != 1 || l.args[0] != "rest" {
		t.Errorf("arguments left = %q, want rest", l.args)
	}
	if l.Actors.RecallWindow != 24*time.Hour || l.Actors.MaxText != 1024 {
		t.Errorf("actors got %v and %d, want a day and 1024", l.Actors.RecallWindow, l.Actors.MaxText)
	}
}

func TestSettingsThatAreWrongAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		args, env []string
		file      string
		want      []string // all in the error
	}{
		"unknown variable":         {env: []string{"TROUPE_LISTN=x"}, want: []string{"TROUPE_LISTN", "did you mean TROUPE_LISTEN?"}},
		"unknown variable, far":    {env: []string{"TROUPE_QWERTYUIOP=x"}, want: []string{"TROUPE_QWERTYUIOP: there is no such setting"}},
		"a port is no setting":     {env: []string{"TROUPE_PORT=8080"}, want: []string{"TROUPE_PORT"}},
		"unknown key":              {file: "a: 1\nlisen: x\n", want: []string{":2", `"lisen"`, "did you mean listen?", `"a"`}},
		"key twice":                {file: "rate: 1\nrate: 2\n", want: []string{"rate", "twice"}},
		"not a mapping":            {file: "- rate\n", want: []string{":1", "name: value"}},
		"not YAML":                 {file: "rate: [1\n", want: []string{"config:"}},
		"nested":                   {file: "rate:\n  a:\n    b: 1\n", want: []string{"rate", "nested"}},
		"no file":                  {args: []string{"--config", "/nowhere/at/all"}, want: []string{"/nowhere/at/all"}},
		"unknown flag":             {args: []string{"--lissten=x"}, want: []string{"--lissten", "did you mean --listen?"}},
		"unknown profile":          {env: []string{"TROUPE_PROFILE=production"}, want: []string{"profile (TROUPE_PROFILE)", "production"}},
		"unknown profile by alias": {env: []string{"IM_PROFILE=x"}, want: []string{"profile (IM_PROFILE)"}},
		"empty profile":            {env: []string{"TROUPE_PROFILE="}, want: []string{"profile (TROUPE_PROFILE)"}},
		"two at once":              {env: []string{"TROUPE_RATE=fast", "TROUPE_REGISTER=maybe"}, want: []string{"rate (TROUPE_RATE)", "register (TROUPE_REGISTER)"}},
		"negative rate":            {env: []string{"TROUPE_RATE=-1"}, want: []string{"rate"}},
		"size with a wrong unit":   {env: []string{"TROUPE_FRAME=64KX"}, want: []string{"frame"}},
		"size past all bounds":     {env: []string{"TROUPE_FRAME=9999999999GiB"}, want: []string{"frame"}},
		"no time":                  {env: []string{"TROUPE_HEARTBEAT=0s"}, want: []string{"heartbeat"}},
		"time without unit":        {env: []string{"TROUPE_HEARTBEAT=30"}, want: []string{"heartbeat", "30s"}},
		"platform without policy":  {env: []string{"TROUPE_PLATFORMS=ios"}, want: []string{"platforms"}},
		"platform, unknown policy": {env: []string{"TROUPE_PLATFORMS=ios=kick"}, want: []string{"platforms"}},
		"network":                  {env: []string{"TROUPE_TRUSTED_PROXIES=10.0.0.0/99"}, want: []string{"trusted-proxies"}},
		"secret as a flag":         {args: []string{"--identity-secret", "x"}, want: []string{"--identity-secret"}},
		"secret's file":            {env: []string{"TROUPE_IDENTITY_SECRET_FILE=/nowhere"}, want: []string{"TROUPE_IDENTITY_SECRET_FILE"}},
		"level":                    {env: []string{"TROUPE_LOG=loud"}, want: []string{"log (TROUPE_LOG)"}},
		"no port":                  {env: []string{"TROUPE_EGRESS_PORTS=443,http"}, want: []string{"egress-ports", "http"}},
		"no network":               {env: []string{"TROUPE_EGRESS_ALLOW=intranet"}, want: []string{"egress-allow", "intranet"}},
		"no kind of files":         {env: []string{"TROUPE_REVIEW_KINDS=image,photo"}, want: []string{"review-kinds", "photo"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.file != "" {
				c.args = append(c.args, "--config", writeConfig(t, c.file))
			}
			_, err := loadConfig(c.args, c.env, nil)
			if err == nil {
				t.Fatal("the settings were taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	_, err := loadConfig(nil, []string{
		"TROUPE_PORT=tcp://10.0.0.1:8080", "TROUPE_PORT_8080_TCP_ADDR=10.0.0.1", "TROUPE_SERVICE_HOST=10.0.0.1", // Kubernetes, of a Service called troupe
		"TROUPE_TEST_NEED=redis", "TROUPER_X=1", "PATH=/bin",
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestUnsafeSettingsAreRefusedInProd(t *testing.T) {
	good := strings.Repeat("k8Jx2vQz", 5)
	for name, c := range map[string]struct {
		env  []string
		want string // in the error; "": it starts
	}{
		"loopback":                 {[]string{"TROUPE_PROFILE=prod"}, ""},
		"plain and public":         {[]string{"TROUPE_PROFILE=prod", "TROUPE_LISTEN=0.0.0.0:80"}, "listen"},
		"plain and public, short":  {[]string{"TROUPE_PROFILE=prod", "TROUPE_LISTEN=:80"}, "listen"},
		"behind a proxy":           {[]string{"TROUPE_PROFILE=prod", "TROUPE_LISTEN=:80", "TROUPE_BEHIND_PROXY=true"}, ""},
		"public in test":           {[]string{"TROUPE_PROFILE=test", "TROUPE_LISTEN=:80"}, ""},
		"good secret":              {[]string{"TROUPE_PROFILE=prod", "TROUPE_IDENTITY_SECRET=" + good}, ""},
		"empty secret":             {[]string{"TROUPE_PROFILE=prod", "TROUPE_IDENTITY_SECRET="}, "identity-secret"},
		"short secret":             {[]string{"TROUPE_PROFILE=prod", "TROUPE_IDENTITY_SECRET=k8Jx2vQz"}, "identity-secret"},
		"short secret in dev":      {[]string{"TROUPE_IDENTITY_SECRET=k8Jx2vQz"}, "identity-secret"},
		"example secret":           {[]string{"TROUPE_PROFILE=prod", "TROUPE_IDENTITY_SECRET=change-me-change-me-change-me-change-me"}, "identity-secret"},
		"a reviewer without one":   {[]string{"TROUPE_REVIEW_URL=https://review.example.com/"}, "review-url"},
		"a reviewer's short one":   {[]string{"TROUPE_REVIEW_URL=https://review.example.com/", "TROUPE_REVIEW_SECRET=k8Jx2vQz"}, "review-url"},
		"a reviewer's example":     {[]string{"TROUPE_PROFILE=prod", "TROUPE_REVIEW_URL=https://review.example.com/", "TROUPE_REVIEW_SECRET=change-me-change-me-change-me-change-me"}, "review-secret"},
		"a reviewer by FTP":        {[]string{"TROUPE_REVIEW_URL=ftp://review.example.com/", "TROUPE_REVIEW_SECRET=" + good}, "review-url"},
		"secret of one letter":     {[]string{"TROUPE_PROFILE=prod", "TROUPE_IDENTITY_SECRET=" + strings.Repeat("x", 40)}, "identity-secret"},
		"example secret in test":   {[]string{"TROUPE_PROFILE=test", "TROUPE_IDENTITY_SECRET=" + strings.Repeat("x", 40)}, ""},
		"every origin":             {[]string{"TROUPE_ORIGINS=*"}, "origins"},
		"every origin in prod":     {[]string{"TROUPE_PROFILE=prod", "TROUPE_ORIGINS=https://*.example.com"}, "origins"},
		"certificate without key":  {[]string{"TROUPE_TLS_CERT=/x.pem"}, "tls-cert"},
		"certificate that is none": {[]string{"TROUPE_TLS_CERT=/nowhere.pem", "TROUPE_TLS_KEY=/nowhere.key"}, "/nowhere.pem"},
		"address without port":     {[]string{"TROUPE_LISTEN=localhost"}, "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := loadConfig(nil, c.env, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = l.check(l.from)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error = %v, want one about %s", err, c.want)
			}
		})
	}
}

func TestAnybodyMayRegisterInDevOnlyUnlessSaid(t *testing.T) {
	for env, want := range map[string]userctr.Policy{
		"":                    userctr.Open,
		"TROUPE_PROFILE=dev":  userctr.Open,
		"TROUPE_PROFILE=test": userctr.InviteOnly,
		"IM_PROFILE=prod":     userctr.InviteOnly,
		"TROUPE_PROFILE=prod TROUPE_REGISTER=open": userctr.Open,
		"TROUPE_REGISTER=closed":                   userctr.Closed,
	} {
		l, err := loadConfig(nil, strings.Fields(env), nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.Users.Policy != want {
			t.Errorf("with %q the policy is %s, want %s", env, l.Users.Policy, want)
		}
	}
}

func TestOurNameOfTheProfileWinsOverTheAlias(t *testing.T) {
	for _, env := range [][]string{{"IM_PROFILE=prod", "TROUPE_PROFILE=test"}, {"TROUPE_PROFILE=test", "IM_PROFILE=prod"}} {
		l, err := loadConfig(nil, env, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.Profile != "test" {
			t.Errorf("profile = %s with %q, want test", l.Profile, env)
		}
	}
}

func TestListsAndMappingsOfTheFileAreSettings(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("k", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := loadConfig([]string{"--config", writeConfig(t, `
# who may connect
origins: [https://a.example, https://b.example]
platforms:
  ios: replace
  "*": allow
behind_proxy: yes
rate: 0
identity_secret_file: `+secret+"\n")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(l.Gateway.Origins, " "); got != "https://a.example https://b.example" {
		t.Errorf("origins = %s", got)
	}
	if l.Users.Platform["ios"] != "replace" || l.Users.Platform["*"] != "allow" {
		t.Errorf("platforms = %v", l.Users.Platform)
	}
	if !l.BehindProxy || l.Actors.Rate >= 0 || len(l.Users.IdentitySecret) != 32 {
		t.Errorf("behind-proxy %v, rate %v, secret of %d bytes; want true, none, 32", l.BehindProxy, l.Actors.Rate, len(l.Users.IdentitySecret))
	}
}

func TestConfigCheckHidesSecretsAndSaysWhereValuesAreFrom(t *testing.T) {
	secret := strings.Repeat("k8Jx2vQz", 5)
	out, code := run("config check --listen 127.0.0.1:9", "TROUPE_IDENTITY_SECRET="+secret, "TROUPE_RATE=7")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if strings.Contains(out, secret) || !strings.Contains(out, "(hidden, 40 bytes)") {
		t.Error("the secret is not hidden")
	}
	for _, want := range []string{"--listen", "TROUPE_RATE", "default"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
	for env, want := range map[string]string{
		"TROUPE_PROFILE=nonsense":                      "profile",
		"TROUPE_PROFILE=prod TROUPE_LISTEN=0.0.0.0:80": "listen (TROUPE_LISTEN)",
		"TROUPE_NONSENSE=1":                            "TROUPE_NONSENSE",
	} {
		out, code := run("config check", strings.Fields(env)...)
		if code != exitFailed || !strings.Contains(out, want) {
			t.Errorf("with %s: exit code %d, want 1 and an error about %s:\n%s", env, code, want, out)
		}
	}
}

func TestCommandsThatAreNone(t *testing.T) {
	for args, want := range map[string]string{
		"sreve":        "did you mean serve?",
		"config":       "usage:",
		"config chekc": "did you mean config check?",
		"user":         "usage:",
		"user add":     "takes one name",
		"backup":       "takes one directory",
		"serve now":    "takes no",
		"backup a b":   "takes one directory",
	} {
		out, code := run(args)
		if code != exitUsage || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want 2 and %q:\n%s", args, code, want, out)
		}
	}
	for args, want := range map[string]string{"help": "serve", "--help": "TROUPE_LISTEN", "version": "troupe", "serve --help": "TROUPE_LISTEN", "user add --help": "--generate"} {
		if out, code := run(args); code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want 0 and %q:\n%s", args, code, want, out)
		}
	}
}

// run runs a command in this process and gives all it printed.
func run(args string, environ ...string) (string, int) {
	var out strings.Builder
	p := &program{in: strings.NewReader(""), out: &out, err: &out, environ: environ}
	code := p.run(context.Background(), strings.Fields(args))
	return out.String(), code
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "troupe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDidYouMean(t *testing.T) {
	names := []string{"log", "listen", "rate", "rate-burst", "tls-key", "TROUPE_LOG", "TROUPE_LISTEN"}
	for name, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "LISTEN": "listen", "rates": "rate", "tls_key": "tls-key",
		"foo": "", "l": "", "lo": "", "logs": "log", "port": "", "": "", "listener-address": "",
		"TROUPE_LISTN": "TROUPE_LISTEN", "TROUPE_FOO": "", "TROUPE_LOGS": "TROUPE_LOG",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := didYouMean(name, slices.DeleteFunc(slices.Clone(names), func(n string) bool {
			return strings.HasPrefix(n, "TROUPE_") != strings.HasPrefix(name, "TROUPE_")
		})); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", name, got, want)
		}
	}
}
