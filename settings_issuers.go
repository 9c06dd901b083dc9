package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/troupe-im/troupe/userctr"
)

// issuers reads a JSON list of userctr.Issuer, and the files that their secrets are in: a
// secret itself stands in no setting.
func issuers(name, help string, to *[]userctr.Issuer) setting {
	return setting{name: name, help: help, tree: true, parse: func(s string) error {
		*to = nil
		if strings.TrimSpace(s) == "" || s == "null" {
			return nil
		}
		var all []userctr.Issuer
		d := json.NewDecoder(strings.NewReader(s))
		d.DisallowUnknownFields()
		if err := d.Decode(&all); err != nil {
			return fmt.Errorf("a list of {iss, audience, jwks | secretFile | callback, subject, algorithms} is needed: %w", err)
		}
		for i := range all {
			if all[i].SecretFile == "" {
				continue
			}
			secret, err := readSecretFile(all[i].SecretFile)
			if err != nil {
				return err
			}
			all[i].Secret = userctr.Secret(secret)
		}
		*to = all
		return nil
	}, show: func() string {
		var parts []string
		for _, i := range *to {
			way := "secret " + i.SecretFile
			if i.JWKS != "" {
				way = "keys " + i.JWKS
			} else if i.Callback != "" {
				way = "callback " + i.Callback
			}
			parts = append(parts, fmt.Sprintf("%s (%s)", i.Issuer, way))
		}
		return strings.Join(parts, ", ")
	}}
}
