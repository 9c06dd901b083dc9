package main

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/userctr"
)

// A setting is one line of the one list of settings. It is --name on the command
// line, TROUPE_NAME in the environment and name in the file, there with "_" or "-".
type setting struct {
	name   string
	std    string // the default, as one would write it
	help   string
	parse  func(text string) error
	show   func() string
	secret bool // never a flag, as flags are seen by everybody on the machine; name-file instead
	toggle bool // the flag needs no value
	tree   bool // in the file it may be nested; parse gets it as JSON
}

// settings is the list, bound to the fields of c.
func settings(c *Config) []setting {
	g, a, u, f := &c.Gateway, &c.Actors, &c.Users, &c.Files
	return []setting{
		text("profile", dev, "`dev` (anybody may register), test, or prod (refuses unsafe settings); IM_PROFILE is another name", &c.Profile, dev, test, prod),
		text("listen", "127.0.0.1:8080", "`HOST:PORT` of REST, WebSocket and the page", &c.Listen),
		text("data", "./data", "`DIRECTORY` of everything that is kept", &c.Data),
		text("tls-cert", "", "PEM `FILE` of the certificate", &c.TLSCert),
		text("tls-key", "", "PEM `FILE` of its key", &c.TLSKey),
		toggle("behind-proxy", "a proxy in front of us speaks TLS", &c.BehindProxy),
		prefixes("trusted-proxies", "127.0.0.0/8,::1/128", "`NETWORKS` whose X-Forwarded-For is believed", &g.TrustedProxies),
		list("origins", "web `ORIGINS` besides our own whose pages may connect, like https://example.com", &g.Origins),
		text("playground", "auto", "whether /playground shows how to embed: `on`, off, or auto (on in profile dev)", &c.Playground, "auto", "on", "off"),
		text("log", "info", "`LEVEL`: debug, info, warn or error", &c.Log, "debug", "info", "warn", "error"),
		text("log-format", "text", "`text` or json", &c.LogFormat, "text", "json"),
		size("memory", "0", "`BYTES` the Go runtime tries to stay under; 0: three quarters of what the machine gives us", &c.Memory),
		text("secrets", "", "`FILE` with the installation's secrets, where several nodes share them; none: secrets.json in data, which is made when it is missing", &u.Secrets),
		hidden("mongo", "`ADDRESS` of the MongoDB that keeps everything, like mongodb://user:password@host/troupe?replicaSet=rs0; none: it is kept in data: see docs/mongodb.md", &c.Mongo),
		text("files-dir", "", "`DIRECTORY` that all nodes see, of files' contents (unless they are in S3) and of uploads under way; with mongo only", &c.FilesDir),
		hidden("redis", "`ADDRESS` of the Redis over which several nodes of one installation find and reach each other, like redis://user:password@host:6379: see docs/cluster.md", &c.Redis),
		text("node-listen", "127.0.0.1:0", "`HOST:PORT` for the other nodes; port 0: any", &c.Node.Listen),
		text("node-advertise", "", "`HOST:PORT` where other nodes reach this one, when that is not node-listen", &c.Node.Advertise),
		text("node-cert", "", "PEM `FILE` of the certificate that this node shows other nodes, for the name troupe-node", &c.Node.Cert),
		text("node-key", "", "PEM `FILE` of its key", &c.Node.Key),
		text("node-ca", "", "PEM `FILE` of who signs the nodes' certificates, and nobody else's", &c.Node.CA),
		toggle("node-insecure", "nodes speak to each other in the clear and to anybody, though not on one machine: their network is private", &c.Node.Insecure),
		duration("drain", "8s", "a stop takes at most this `TIME`", &c.Drain),

		policy("register", "who may register: `open`, invite or closed; by default open in profile dev, else invite", &u.Policy),
		hidden("identity-secret", "HS256 secret of an outside system whose tokens {sub, exp, name?} are good here, 32 bytes or more", &u.IdentitySecret),
		issuers("issuers", "outside systems whose tokens are good here, a JSON `LIST`; in the file a YAML list: see docs/identity.md", &u.Issuers),
		duration("access-life", "10m", "life of an access token, a `TIME`", &u.Access),
		duration("refresh-life", "7d", "life of a refresh token that is not used, a `TIME`", &u.Idle),
		duration("guest-life", "30d", "an anonymous visitor who wrote nothing is forgotten when not seen for this `TIME`", &u.GuestLife),
		duration("login-life", "30d", "life of a login, a `TIME`", &u.Session),
		duration("audit-keep", "3650d", "rows of the audit log are kept for this `TIME`", &u.AuditKeep),
		text("erase-messages", userctr.TombstoneMessages, "what becomes of the messages of a user who is erased: `tombstone` (what they said is gone) or keep", &c.EraseMessages, userctr.TombstoneMessages, userctr.KeepMessages),
		pairs("platforms", "*=allow", "what a new login does to the same user's others of its `PLATFORM=POLICY`, allow or replace", &a.Platforms, userctr.Allow, userctr.Replace),

		rate("rate", "20", "messages a second and connection, a `NUMBER`; 0: no limit", &a.Rate),
		number("rate-burst", "50", "messages at once above the rate, a `NUMBER`", &a.RateBurst),
		duration("recall-window", "2m", "one may recall a message of one's own for this `TIME`", &a.RecallWindow),
		duration("edit-window", "15m", "one may edit a message of one's own for this `TIME`", &a.EditWindow),
		number("max-text", "8KiB", "`BYTES` of a message's text", &a.MaxText),
		number("max-members", "500", "members named in one call, a `NUMBER`", &a.MaxMembers),
		number("max-group", "100000", "members of a session, a `NUMBER`", &a.MaxGroup),
		number("max-session-name", "128", "characters of a session's name, a `NUMBER`", &a.MaxSessionName),
		number("receipt-size", "200", "receipts and typing are off in sessions with more than this `NUMBER` of members", &a.ReceiptSize),
		number("in-flight", "1000", "unanswered frames of a connection, a `NUMBER`", &a.InFlight),
		duration("session-idle", "5m", "a session leaves memory after this `TIME` without a message", &a.SessionIdle),
		duration("user-linger", "2m", "a user leaves memory this `TIME` after the last connection", &a.UserLinger),
		duration("presence-linger", "5s", "a user is seen as there for this `TIME` after the last connection", &a.PresenceLinger),

		duration("request-life", "30d", "a friend or group request can be answered for this `TIME`", &a.RequestLife),
		number("max-requests", "200", "requests of one user that wait for others, a `NUMBER`", &a.MaxRequests),
		toggle("tell-blocked", "tell whom somebody has blocked that it is so", &a.TellBlocked),
		text("strangers", "allow", "who talks in p2p sessions: `allow` (everybody) or friends", &a.Strangers, "allow", actors.FriendsOnly),

		size("max-image", "20MiB", "`BYTES` of a picture", &f.MaxImage),
		size("max-voice", "20MiB", "`BYTES` of a voice message", &f.MaxVoice),
		size("max-video", "200MiB", "`BYTES` of a video", &f.MaxVideo),
		size("max-package", "500MiB", "`BYTES` of an application package", &f.MaxPackage),
		size("max-document", "200MiB", "`BYTES` of any other file", &f.MaxDocument),
		size("quota", "5GiB", "`BYTES` of one user's files together", &f.Quota),
		size("quota-guest", "50MiB", "`BYTES` of one anonymous visitor's files together", &f.QuotaGuest),
		size("quota-all", "100GiB", "`BYTES` of all files together", &f.QuotaAll),
		size("files-min-free", "256MiB", "`BYTES` of disk that uploads leave free", &f.MinFree),
		duration("unsent-life", "24h", "an upload that was not sent is kept for this `TIME`", &f.Unsent),
		duration("link-life", "5m", "life of a signed link to a file, a `TIME`", &f.LinkLife),
		text("review-url", "", "`ADDRESS` of a service of yours that looks at files before others see them: see docs/files.md, Moderation", &c.Review.URL),
		hidden("review-secret", "signs what that service is sent, 32 bytes or more", &c.ReviewSecret),
		kinds("review-kinds", "image,video", "`KINDS` of files that it looks at: image, voice, video, package, document", &f.Reviews.Kinds),
		duration("review-within", "10s", "it has to answer within this `TIME`", &f.Reviews.Within),
		text("review-when-down", filectr.Hold, "while it cannot say, files `hold` (wait, and it is asked again) or allow", &f.Reviews.WhenDown, filectr.Hold, filectr.Allow),
		text("clamd", "", "`ADDRESS` of clamd (HOST:PORT, or the path of its socket), which looks at every file before anybody can read it: see docs/files.md, Malware, for its own settings", &f.Clamd),
		text("ffmpeg", "auto", "auto: FFmpeg is asked about video and voice where it is installed; or `off`", &f.FFmpeg, "auto", "off"),
		text("s3-endpoint", "", "`ENDPOINT` of the S3 store that keeps files' contents, like https://s3.example.com; none: they are in the data directory", &f.S3.Endpoint),
		text("s3-bucket", "", "`BUCKET` in it, which has to be there", &f.S3.Bucket),
		text("s3-region", "", "its `REGION`, where the store wants one", &f.S3.Region),
		text("s3-access-key", "", "`ID` of the key to it", &f.S3.Access),
		hidden("s3-secret-key", "the secret of that key", &c.S3Secret),
		text("s3-prefix", "", "`PREFIX` of all names in the bucket", &f.S3.Prefix),
		text("files-origin", "", "`ORIGIN` of signed links, like https://files.example.com, which leads here too", &f.Origin),

		text("link-previews", "on", "`on`: members see what a link leads to, which the server asks; or off", &c.Previews, "on", "off"),
		prefixes("egress-allow", "", "`NETWORKS` that links in messages may lead the server to, besides the public web", &c.Egress.Allow),
		prefixes("egress-deny", "", "`NETWORKS` that the server never asks anything, whoever wants it", &c.Egress.Deny),
		ports("egress-ports", "80,443", "`PORTS` that links in messages may lead the server to", &c.Egress.Ports),

		text("bots", "all", "which of the bots that come along run: `all`, off, or NAMES with commas", &c.Bots),
		botSettings("bot-config", "settings of bots, a JSON `OBJECT` {BOT: {SETTING: VALUE}} or a file with one; in the file a YAML mapping: see docs/bots.md", &c.BotSettings),
		text("plugins", "", "`DIRECTORY` of further bots, ID/VERSION/manifest.yaml; none: plugins in the data directory", &c.Plugins.Dir),
		text("bot-isolation", "auto", "`auto`: bots have neither network nor sight of files as far as this machine allows; require: they do not run otherwise; or off", &c.Plugins.Isolation, "auto", "off", "require"),
		text("bots-locale", "", "`LANGUAGE` of what bots say to whom nothing else is known of, like zh-CN; none: en, and Chinese to who writes Chinese", &c.BotsLocale),
		text("bot-cgroup", "auto", "`auto`: bots are bounded by the cgroup that systemd delegated to this server, where it did; off, or the DIRECTORY of one", &c.Plugins.Cgroup),
		text("bot-read", "", "`DIRECTORIES`, with commas, that bots may read besides the system's and their own, like those of an interpreter", &c.BotRead),
		text("model-url", "", "`ADDRESS` of an OpenAI-compatible API that bots may ask, like https://api.openai.com/v1 or http://127.0.0.1:11434/v1: see docs/assistant.md", &c.ModelURL),
		hidden("model-key", "the key to it, where it wants one", &c.ModelKey),
		text("model", "", "`NAME` of the model there", &c.ModelName),
		text("model-vision", "", "`NAME` of a model there that sees pictures", &c.ModelVision),
		providers("model-providers", "several such APIs, a JSON `LIST`; in the file a YAML list", &c.Model.Providers),
		models("models", "what the names of models that bots use stand for, a JSON `LIST`; in the file a YAML list", &c.Model.Models),
		size("model-tokens-user", "200000", "tokens a day of one person, a `NUMBER`; 0: no bound", &c.Model.Budgets.User),
		size("model-tokens-session", "500000", "tokens a day in one session, a `NUMBER`", &c.Model.Budgets.Session),
		size("model-tokens-bot", "5000000", "tokens a day of one bot, a `NUMBER`", &c.Model.Budgets.Bot),
		size("model-tokens-all", "10000000", "tokens a day of all together, a `NUMBER`", &c.Model.Budgets.All),
		number("model-parallel", "8", "answers at once of one bot, a `NUMBER`", &c.Model.Parallel),

		rate("search-rate", "2", "searches for messages a second and user, a `NUMBER`; 0: no limit", &c.Search.Rate),
		number("max-connections", "50000", "connections in all, a `NUMBER`", &g.MaxConnections),
		number("max-per-address", "2000", "WebSockets of one address, a `NUMBER`", &g.MaxPerAddress),
		number("first-frame", "4KiB", "`BYTES` of a message before auth", &g.FirstFrame),
		number("frame", "64KiB", "`BYTES` of a message", &g.Frame),
		duration("auth-within", "10s", "the first frame has to come within this `TIME`", &g.AuthWithin),
		duration("frame-within", "10s", "a message has to be whole within this `TIME`", &g.FrameWithin),
		duration("heartbeat", "30s", "clients are told to give a sign of life every such `TIME`", &g.Heartbeat),
		duration("write-within", "10s", "a slow socket has to take 32 KiB within this `TIME`", &g.WriteWithin),
		number("queue", "256KiB", "`BYTES` that may wait for one socket", &g.Queue),
		toggle("compression", "offer to compress what goes to clients", &g.Compress),

		number("memtable", "32MiB", "`BYTES` of the newest rows the store keeps in memory", &c.Store.MemTable),
		size("cache", "16MiB", "`BYTES` of rows read from disk that the store keeps in memory", &c.Store.Cache),
		size("min-free", "64MiB", "`BYTES` of disk under which nothing is written; negative: never mind", &c.Store.MinFree),
	}
}

// inForce names the settings that are not as they come, without secrets.
func (c *Config) inForce() string {
	var set []string
	usual := settings(new(Config))
	for i, s := range settings(c) {
		if std := usual[i]; std.std != "" {
			_ = std.parse(std.std) // a test reads all defaults
		}
		if v := s.show(); v != "" && v != usual[i].show() {
			set = append(set, s.name+"="+v)
		}
	}
	return strings.Join(set, " ")
}

// env is the variable of a setting.
func (s setting) env() string { return "TROUPE_" + strings.ToUpper(key(s.name)) }

// key is how a setting is written in the file.
func key(name string) string { return strings.ReplaceAll(name, "-", "_") }

func text(name, std, help string, to *string, only ...string) setting {
	return setting{name: name, std: std, help: help, show: func() string { return *to }, parse: func(s string) error {
		if len(only) > 0 && !slices.Contains(only, s) {
			return fmt.Errorf("%q is none of %s", s, strings.Join(only, ", "))
		}
		*to = s
		return nil
	}}
}

func policy(name, help string, to *userctr.Policy) setting {
	s := text(name, "", help, (*string)(to), string(userctr.Open), string(userctr.InviteOnly), string(userctr.Closed))
	set := s.parse
	s.parse = func(text string) error {
		if text == "" {
			return nil // settle chooses
		}
		return set(text)
	}
	return s
}

func hidden(name, help string, to *userctr.Secret) setting {
	return setting{name: name, help: help, secret: true, parse: func(s string) error {
		*to = userctr.Secret(s)
		return nil
	}, show: func() string {
		if *to == "" {
			return ""
		}
		return fmt.Sprintf("(hidden, %d bytes)", len(*to))
	}}
}

func toggle(name, help string, to *bool) setting {
	return setting{name: name, std: "false", help: help, toggle: true, show: func() string { return strconv.FormatBool(*to) }, parse: func(s string) (err error) {
		switch strings.ToLower(s) {
		case "true", "yes", "on", "1":
			*to = true
		case "false", "no", "off", "0":
			*to = false
		default:
			err = fmt.Errorf("%q is neither true nor false", s)
		}
		return err
	}}
}

func list(name, help string, to *[]string) setting {
	return setting{name: name, help: help, show: func() string { return strings.Join(*to, ",") }, parse: func(s string) error {
		*to = split(s)
		return nil
	}}
}

// split cuts at commas and drops what is empty.
func split(s string) []string {
	var parts []string
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func prefixes(name, std, help string, to *[]netip.Prefix) setting {
	return setting{name: name, std: std, help: help, parse: func(s string) error {
		all := []netip.Prefix{}
		for _, part := range split(s) {
			p, err := netip.ParsePrefix(part)
			if err != nil {
				ip, ipErr := netip.ParseAddr(part)
				if ipErr != nil {
					return fmt.Errorf("%q is neither a network, like 10.0.0.0/8, nor an address", part)
				}
				p = netip.PrefixFrom(ip, ip.BitLen())
			}
			all = append(all, p)
		}
		*to = all
		return nil
	}, show: func() string {
		var parts []string
		for _, p := range *to {
			parts = append(parts, p.String())
		}
		return strings.Join(parts, ",")
	}}
}

func pairs(name, std, help string, to *map[string]string, only ...string) setting {
	return setting{name: name, std: std, help: help, parse: func(s string) error {
		m := map[string]string{}
		for _, part := range split(s) {
			k, v, ok := strings.Cut(part, "=")
			k, v = strings.TrimSpace(k), strings.TrimSpace(v)
			if !ok || k == "" || !slices.Contains(only, v) {
				return fmt.Errorf("%q is not NAME=POLICY with a policy of %s", part, strings.Join(only, ", "))
			}
			m[k] = v
		}
		*to = m
		return nil
	}, show: func() string {
		var parts []string
		for k, v := range *to {
			parts = append(parts, k+"="+v)
		}
		sort.Strings(parts)
		return strings.Join(parts, ",")
	}}
}

func number(name, std, help string, to *int) setting {
	return setting{name: name, std: std, help: help, show: func() string { return strconv.Itoa(*to) }, parse: func(s string) error {
		n, err := parseSize(s)
		if err == nil && (n < 1 || n > math.MaxInt32) {
			err = fmt.Errorf("%q is not between 1 and %d", s, math.MaxInt32)
		}
		if err == nil {
			*to = int(n)
		}
		return err
	}}
}

func size(name, std, help string, to *int64) setting {
	return setting{name: name, std: std, help: help, show: func() string { return strconv.FormatInt(*to, 10) }, parse: func(s string) (err error) {
		n, err := parseSize(s)
		if err == nil {
			*to = n
		}
		return err
	}}
}

// rate is 0 for no limit where an operator writes it, and -1 for actors.
func rate(name, std, help string, to *float64) setting {
	return setting{name: name, std: std, help: help, parse: func(s string) error {
		r, err := strconv.ParseFloat(s, 64)
		if err != nil || r < 0 || math.IsInf(r, 0) || math.IsNaN(r) {
			return fmt.Errorf("%q is not a number from 0 on", s)
		}
		if *to = r; r == 0 {
			*to = -1
		}
		return nil
	}, show: func() string { return strconv.FormatFloat(max(*to, 0), 'g', -1, 64) }}
}

func duration(name, std, help string, to *time.Duration) setting {
	return setting{name: name, std: std, help: help, show: func() string { return to.String() }, parse: func(s string) error {
		d, err := parseDuration(s)
		if err == nil {
			*to = d
		}
		return err
	}}
}

// parseDuration reads what time.ParseDuration does, and days: 30d.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if n > 36500 {
			n = 0
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time above 0, like 30s, 10m, 2h or 7d", s)
	}
	return d, nil
}

// parseSize reads a whole number, with KiB, MiB or GiB behind it if wanted; k, m
// and g mean the same.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	shift, known := map[string]uint{"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30}[unit]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n > math.MaxInt64>>shift || n < math.MinInt64>>shift {
		return 0, fmt.Errorf("%q is not a whole number, or a size like 64KiB or 16MiB", s)
	}
	return n << shift, nil
}
