package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIssuersAreReadFromTheFileAndFromJSON(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "shop.secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("k8Jx2vQz", 5)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"the file": {"--config", writeConfig(t, `
issuers:
  - iss: https://id.example.com
    audience: chat
    jwks: https://id.example.com/keys
    algorithms: [ES256]
  - {iss: shop, audience: chat, secretFile: `+secret+`, subject: asis}
`)},
		"a flag": {"--issuers", `[{"iss":"https://id.example.com","audience":"chat","jwks":"https://id.example.com/keys","algorithms":["ES256"]},
			{"iss":"shop","audience":"chat","secretFile":"` + secret + `","subject":"asis"}]`},
	} {
		l, err := loadConfig(args, []string{"TROUPE_PROFILE=prod"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.check(l.from); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := l.Users.Issuers
		if len(all) != 2 || all[0].Issuer != "https://id.example.com" || all[0].Algorithms[0] != "ES256" || len(all[1].Secret) != 40 || all[1].Subject != "asis" {
			t.Errorf("%s: issuers = %+v", name, all)
		}
		for _, s := range settings(&l.Config) {
			if shown := s.show(); strings.Contains(shown, "k8Jx2vQz") {
				t.Errorf("%s shows the secret", s.name)
			}
		}
	}
	for text, want := range map[string]string{
		`[{"iss":"a","audience":"b","jkws":"x"}]`:                     "jkws",
		`[{"iss":"a","audience":"b","secretFile":"/nowhere/at/all"}]`: "/nowhere/at/all",
		`{"iss":"a"}`: "a list",
	} {
		if _, err := loadConfig([]string{"--issuers", text}, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`[{"iss":"a","audience":"b","jwks":"http://id.example.com/k"}]`: "https",
		`[{"iss":"a","jwks":"https://id.example.com/k"}]`:               "audience",
	} {
		l, err := loadConfig([]string{"--issuers", text}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.check(l.from); err == nil || !strings.Contains(err.Error(), "issuers (--issuers)") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about issuers and %s", text, err, want)
		}
	}
}
