package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-im/troupe/plugins/model"
)

// providers reads a JSON list of model.Provider, and the files that their keys are in: a key
// itself stands in no setting.
func providers(name, help string, to *[]model.Provider) setting {
	return setting{name: name, help: help, tree: true, parse: func(s string) error {
		all, err := jsonList[model.Provider](s, "{name, url, keyFile, keyHeader, profile, noUsage}")
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].KeyFile == "" {
				continue
			}
			key, err := readSecretFile(all[i].KeyFile)
			if err != nil {
				return err
			}
			all[i].Key = model.Key(key)
		}
		*to = all
		return nil
	}, show: func() string {
		var parts []string
		for _, p := range *to {
			parts = append(parts, p.Name+" ("+p.URL+")")
		}
		return strings.Join(parts, ", ")
	}}
}

// models reads a JSON list of model.Model.
func models(name, help string, to *[]model.Model) setting {
	return setting{name: name, help: help, tree: true, parse: func(s string) (err error) {
		*to, err = jsonList[model.Model](s, "{alias, provider, model, profile, maxOutput, priceIn, priceOut}")
		return err
	}, show: func() string {
		var parts []string
		for _, m := range *to {
			parts = append(parts, m.Alias+" ("+m.Model+")")
		}
		return strings.Join(parts, ", ")
	}}
}

func jsonList[T any](text, form string) (all []T, err error) {
	if strings.TrimSpace(text) == "" || text == "null" {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("a list of %s is needed: %w", form, err)
	}
	return all, nil
}

// settleModel adds what the short settings say to the long ones.
func (c *Config) settleModel() {
	c.Model.Deny = c.Egress.Deny
	if c.ModelURL == "" || c.ModelName == "" {
		return
	}
	p, m := model.Simple(c.ModelURL, model.Key(c.ModelKey), c.ModelName, c.ModelVision)
	for i := range m {
		m[i].Provider = p[0].Name
		if !slices.ContainsFunc(c.Model.Models, func(o model.Model) bool { return o.Alias == m[i].Alias }) { // what is said at length wins
			c.Model.Models = append(c.Model.Models, m[i])
		}
	}
	c.Model.Providers = append(c.Model.Providers, p...)
}

func (c *Config) checkModel(refuse func(name, format string, args ...any)) {
	if (c.ModelURL == "") != (c.ModelName == "") {
		refuse("model-url", "model-url and model belong together, and one is missing")
	}
	if err := c.Model.Check(); err != nil {
		name := "models"
		if len(c.Model.Models) <= 3 && c.ModelURL != "" {
			name = "model-url"
		}
		refuse(name, "%v", err)
	}
}
