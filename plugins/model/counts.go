package model

import (
	"cmp"
	"slices"
	"sync"
)

// Number is one for whoever watches the installation. No name of anybody is in it.
type Number struct {
	Name   string // troupe_model_… as Prometheus has it
	Help   string
	Labels map[string]string
	Gauge  bool // it goes down, too
	Value  float64
}

type countKey struct{ name, label string }

type counts struct {
	mu sync.Mutex
	of map[countKey]float64
}

func (c *counts) add(name, label string, n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[countKey{name, label}] += n
}

var counted = map[string]struct {
	help, label string
	gauge       bool
}{
	"requests_total":          {"Requests of bots, by outcome: ok, or the code of the failure.", "outcome", false},
	"retries_total":           {"Further tries, before the first token.", "", false},
	"prompt_tokens_total":     {"Tokens of prompts, by alias.", "model", false},
	"completion_tokens_total": {"Tokens of answers, by alias.", "model", false},
	"in_flight":               {"Answers that are being written, by plugin.", "plugin", true},
}

// Numbers are what was counted since the start.
func (g *Gateway) Numbers() (all []Number) {
	if g == nil {
		return nil
	}
	g.counts.mu.Lock()
	defer g.counts.mu.Unlock()
	for k, v := range g.counts.of {
		about := counted[k.name]
		n := Number{Name: "troupe_model_" + k.name, Help: about.help, Gauge: about.gauge, Value: v}
		if about.label != "" {
			n.Labels = map[string]string{about.label: k.label}
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Number) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(firstOf(a.Labels), firstOf(b.Labels)))
	})
	return all
}

func firstOf(m map[string]string) string {
	for _, v := range m {
		return v
	}
	return ""
}
