package model

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Config is what may be set. A zero field means its written default. Without providers
// there is no gateway: bots are told of none.
type Config struct {
	Providers []Provider
	Models    []Model

	Header time.Duration // until a provider begins to answer: 30 s
	Idle   time.Duration // between two signs of life of an answer: 30 s
	Total  time.Duration // a whole answer, with all tries: 10 m
	Again  int           // further tries, before the first token alone; -1 none: 2
	Pause  time.Duration // before the first of them, doubled each time, where the provider says nothing of it: 500 ms
	Wait   time.Duration // a Retry-After longer than this is the bot's to wait for: 20 s

	Parallel  int            // answers at once of one plugin: 8
	Waiting   int            // requests of one plugin that wait for their turn: 64
	MaxOutput int            // tokens of one answer, where a Model says nothing: 2048
	Body      int64          // bytes of a request: 20 MiB, which is four pictures
	Deny      []netip.Prefix // networks that are asked nothing, whatever a provider's address says
	Budgets   Budgets        // tokens a day
	Keep      int            // days that usage is kept: 400
}

// Budgets are in tokens a day (UTC), prompt and completion together. 0: no bound.
type Budgets struct {
	All     int64 // the installation
	Bot     int64 // one bot
	User    int64 // one person, whichever bots they talk to
	Session int64
}

// Provider is somebody who speaks the OpenAI API.
type Provider struct {
	Name      string `json:"name"`
	URL       string `json:"url"`                 // its base, like https://api.openai.com/v1
	KeyFile   string `json:"keyFile,omitempty"`   // of the settings
	Key       Key    `json:"-"`                   //
	KeyHeader string `json:"keyHeader,omitempty"` // Authorization, with "Bearer "; any other has the key alone (api-key: Azure)
	Profile   string `json:"profile,omitempty"`   // which fields its models take: openai, plain, or "" to tell by the address
	NoUsage   bool   `json:"noUsage,omitempty"`   // it refuses stream_options: what an answer took is estimated
}

// Model is a name by which bots ask, and what it stands for.
type Model struct {
	Alias     string  `json:"alias"` // default, fast, vision, embedding, speech, …
	Provider  string  `json:"provider,omitempty"`
	Model     string  `json:"model"`             // as the provider calls it
	Profile   string  `json:"profile,omitempty"` // openai, reasoning, plain, or "" to tell by address and name
	MaxOutput int     `json:"maxOutput,omitempty"`
	PriceIn   float64 `json:"priceIn,omitempty"`  // of a million tokens, in whatever the operator counts in
	PriceOut  float64 `json:"priceOut,omitempty"` //
}

// Key is a provider's. It prints as (hidden), so that no log can have it.
type Key string

const hiddenKey = "(hidden)"

func (k Key) String() string               { return hiddenKey }
func (k Key) GoString() string             { return hiddenKey }
func (k Key) LogValue() slog.Value         { return slog.StringValue(hiddenKey) }
func (k Key) MarshalText() ([]byte, error) { return []byte(hiddenKey), nil }

// The profiles: which fields of a request a model takes.
const (
	ProfileOpenAI    = "openai"    // max_completion_tokens
	ProfileReasoning = "reasoning" // the same, and neither temperature nor its kin: o1, o3, o4, gpt-5 and later
	ProfilePlain     = "plain"     // max_tokens, as Ollama, vLLM, DeepSeek and most others have it
)

// Aliases that bots know of.
const (
	Default   = "default"
	Fast      = "fast"
	Vision    = "vision"
	Embedding = "embedding"
	Speech    = "speech" // sound to text
)

// Simple is one provider with one model, as the short settings say it. vision "" is none.
func Simple(address string, key Key, name, vision string) ([]Provider, []Model) {
	models := []Model{{Alias: Default, Model: name}, {Alias: Fast, Model: name}}
	if vision != "" {
		models = append(models, Model{Alias: Vision, Model: vision})
	}
	return []Provider{{Name: "model", URL: address, Key: key}}, models
}

func (c Config) withDefaults() Config {
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	std := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span(&c.Header, 30*time.Second)
	span(&c.Idle, 30*time.Second)
	span(&c.Total, 10*time.Minute)
	span(&c.Pause, 500*time.Millisecond)
	span(&c.Wait, 20*time.Second)
	std(&c.Again, 2)
	std(&c.Parallel, 8)
	std(&c.Waiting, 64)
	std(&c.MaxOutput, 2048)
	std(&c.Keep, 400)
	if c.Body == 0 {
		c.Body = 20 << 20
	}
	return c
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`)

// Check says what keeps a gateway from being made of c, all of it.
func (c Config) Check() error {
	var all []error
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	providers := map[string]bool{}
	for _, p := range c.Providers {
		if !nameForm.MatchString(p.Name) || providers[p.Name] {
			wrong("provider %q: its name is needed, once, of a-z, 0-9, ., _ and -", p.Name)
		}
		providers[p.Name] = true
		if u, err := url.Parse(p.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
			wrong("provider %s: url is an address like https://api.openai.com/v1", p.Name) // it is not told what it is: it may have a key in it
		}
		switch p.Profile {
		case "", ProfileOpenAI, ProfilePlain:
		default:
			wrong("provider %s: profile %q is none of openai, plain", p.Name, p.Profile)
		}
		if strings.ContainsAny(string(p.Key), "\r\n") {
			wrong("provider %s: its key has more than one line", p.Name)
		}
	}
	aliases := map[string]bool{}
	for _, m := range c.Models {
		if !nameForm.MatchString(m.Alias) || aliases[m.Alias] {
			wrong("model %q: its alias is needed, once, of a-z, 0-9, ., _ and -", m.Alias)
		}
		aliases[m.Alias] = true
		if m.Model == "" {
			wrong("model %s: model is what the provider calls it", m.Alias)
		}
		if m.Provider == "" && len(c.Providers) != 1 || m.Provider != "" && !providers[m.Provider] {
			wrong("model %s: there is no provider %q", m.Alias, m.Provider)
		}
		switch m.Profile {
		case "", ProfileOpenAI, ProfileReasoning, ProfilePlain:
		default:
			wrong("model %s: profile %q is none of openai, reasoning, plain", m.Alias, m.Profile)
		}
		if m.MaxOutput < 0 || m.PriceIn < 0 || m.PriceOut < 0 {
			wrong("model %s: numbers are not negative", m.Alias)
		}
	}
	if len(c.Providers) > 0 && !aliases[Default] {
		wrong("no model has the alias %s", Default)
	}
	b := c.Budgets
	if min(b.All, b.Bot, b.User, b.Session) < 0 {
		wrong("budgets are not negative")
	}
	return errors.Join(all...)
}
