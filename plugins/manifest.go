package plugins

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// manifestFile is what every version of a plugin has: DIR/ID/VERSION/manifest.yaml.
const manifestFile = "manifest.yaml"

// Manifest is what a plugin's author says of it. docs/bots.md has one with every field.
type Manifest struct {
	ID       string            // 1 to 32 of a-z, 0-9 and -, beginning with a letter
	Version  string            // three numbers, like 1.2.0, and perhaps -WORD
	Protocol int               // 1
	Binaries map[string]Binary // by GOOS/GOARCH, or "any": a script
	Users    []User
	Scopes   []string // what it asks for
	Limits   Limits
	// ConfigSchema is a file beside the manifest: the JSON Schema of its settings.
	ConfigSchema string
	// Everywhere lets it moderate sessions that it is no member of; with the scope moderate.
	Everywhere bool
}

// Binary is a file beside the manifest.
type Binary struct {
	Path   string
	SHA256 string // hex; it finds damage, no more: what is trusted stands in plugins.lock
}

// User is a persona that a plugin is.
type User struct{ Handle, Name, About string }

// Limits are what a plugin's process may take.
type Limits struct {
	Memory    int64   // bytes, 256 MiB by default
	Files     int     // open files, 256 by default
	Processes int     // and threads, 512 by default
	CPU       float64 // cores; 0: no bound. Only where there is a cgroup
}

const (
	stdMemory   = 256 << 20 // of which a Go program can use about the half (RLIMIT_DATA counts what is reserved)
	leastMemory = 160 << 20 // with less no Go program starts
	stdFiles    = 256
	stdThreads  = 512
)

var (
	goodID      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	goodVersion = regexp.MustCompile(`^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}(-[0-9A-Za-z.-]{1,32})?$`)
	goodSHA256  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// readManifest reads DIR/manifest.yaml and checks it. Its error has all that is wrong,
// a line each, with the file and the line.
func readManifest(dir string) (*Manifest, []byte, error) {
	file := filepath.Join(dir, manifestFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if len(text) > 64<<10 {
		return nil, nil, fmt.Errorf("%s: it has %d bytes, and 65536 are the most", file, len(text))
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fmt.Errorf("%s:1: a manifest is written as `name: value`, beginning with `id: …`", file)
	}
	r := &reader{file: file}
	m := r.manifest(doc.Content[0])
	if err := errors.Join(r.wrong...); err != nil {
		return nil, nil, err
	}
	return m, text, nil
}

// Scopes are what bots may be granted.
var Scopes = botv1.Scopes

var goodHost = regexp.MustCompile(`^[a-z0-9.*-]{1,120}(:[0-9]{1,5})?$`)

// knownScope says whether there is such a scope.
func knownScope(s string) bool {
	host, of := strings.CutPrefix(s, "network:")
	return slices.Contains(Scopes, s) || of && goodHost.MatchString(host)
}

// reader reads a manifest and remembers what is wrong with it.
type reader struct {
	file  string
	wrong []error
}

func (r *reader) refuse(n *yaml.Node, format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf("%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...)))
}

func (r *reader) manifest(top *yaml.Node) *Manifest {
	m := &Manifest{Limits: Limits{Memory: stdMemory, Files: stdFiles, Processes: stdThreads}, Binaries: map[string]Binary{}}
	found := r.fields(top, "a manifest", map[string]func(n *yaml.Node){
		"id": func(n *yaml.Node) {
			if r.word(n, "id", &m.ID); m.ID != "" && !goodID.MatchString(m.ID) {
				r.refuse(n, "id: %q is not 1 to 32 of a-z, 0-9 and -, beginning with a letter", m.ID)
			}
		},
		"version": func(n *yaml.Node) {
			if r.word(n, "version", &m.Version); m.Version != "" && !goodVersion.MatchString(m.Version) {
				r.refuse(n, "version: %q is not three numbers, like 1.2.0", m.Version)
			}
		},
		"protocol": func(n *yaml.Node) {
			if n.Decode(&m.Protocol) != nil || m.Protocol != 1 {
				r.refuse(n, "protocol: %q is none that this server speaks; it speaks 1", n.Value)
			}
		},
		"binaries": func(n *yaml.Node) { r.binaries(n, m) },
		"users":    func(n *yaml.Node) { r.users(n, m) },
		"scopes":   func(n *yaml.Node) { r.scopes(n, m) },
		"limits":   func(n *yaml.Node) { r.limits(n, m) },
		"config_schema": func(n *yaml.Node) {
			if r.word(n, "config_schema", &m.ConfigSchema); m.ConfigSchema != "" && (!filepath.IsLocal(m.ConfigSchema) || strings.ContainsAny(m.ConfigSchema, `\\`)) {
				r.refuse(n, "config_schema: %q leads out of the plugin's directory", m.ConfigSchema)
			}
		},
		"everywhere": func(n *yaml.Node) { r.decode(n, "everywhere", "true or false", &m.Everywhere) },
	})
	for _, name := range []string{"id", "version", "protocol", "binaries"} {
		if !found[name] {
			r.refuse(top, "%s is missing", name)
		}
	}
	if m.Everywhere && !slices.Contains(m.Scopes, "moderate") {
		r.refuse(top, "everywhere: only with the scope moderate")
	}
	return m
}

// fields reads a mapping, whose names are all known.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(n *yaml.Node)) map[string]bool {
	found := map[string]bool{}
	if n.Kind != yaml.MappingNode {
		r.refuse(n, "%s is written as `name: value`", what)
		return found
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		read, ok := known[name]
		switch {
		case !ok:
			var names []string
			for k := range known {
				names = append(names, k)
			}
			slices.Sort(names)
			r.refuse(n.Content[i], "there is no field %q in %s; there are %s", name, what, strings.Join(names, ", "))
		case found[name]:
			r.refuse(n.Content[i], "%s stands there twice", name)
		default:
			read(n.Content[i+1])
		}
		found[name] = true
	}
	return found
}

func (r *reader) decode(n *yaml.Node, name, want string, to any) {
	if n.Decode(to) != nil {
		r.refuse(n, "%s: %q is not %s", name, n.Value, want)
	}
}

func (r *reader) word(n *yaml.Node, name string, to *string) {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		r.refuse(n, "%s: a word is needed", name)
		return
	}
	*to = n.Value
}

func (r *reader) binaries(n *yaml.Node, m *Manifest) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.refuse(n, "binaries: GOOS/GOARCH: {path: FILE, sha256: SUM} is needed, like linux/amd64")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		platform, b := n.Content[i], Binary{}
		if platform.Value != "any" && len(strings.Split(platform.Value, "/")) != 2 {
			r.refuse(platform, "binaries: %q is neither GOOS/GOARCH, like linux/amd64, nor any", platform.Value)
		}
		r.fields(n.Content[i+1], "a binary", map[string]func(n *yaml.Node){
			"path": func(n *yaml.Node) {
				if r.word(n, "path", &b.Path); b.Path != "" && (!filepath.IsLocal(b.Path) || strings.ContainsAny(b.Path, `\`)) {
					r.refuse(n, "path: %q leads out of the plugin's directory", b.Path)
				}
			},
			"sha256": func(n *yaml.Node) {
				if r.word(n, "sha256", &b.SHA256); b.SHA256 != "" && !goodSHA256.MatchString(b.SHA256) {
					r.refuse(n, "sha256: %q is not 64 hexadecimal digits", b.SHA256)
				}
			},
		})
		if b.Path == "" {
			r.refuse(platform, "binaries: %s has no path", platform.Value)
		}
		m.Binaries[platform.Value] = b
	}
}

func (r *reader) users(n *yaml.Node, m *Manifest) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, "users: a list of {handle, name} is needed")
		return
	}
	for _, item := range n.Content {
		var u User
		r.fields(item, "a user", map[string]func(n *yaml.Node){
			"handle": func(n *yaml.Node) {
				if u.Handle = n.Value; u.Handle != "" && !goodID.MatchString(u.Handle) {
					r.refuse(n, "handle: %q is not 1 to 32 of a-z, 0-9 and -, beginning with a letter", u.Handle)
				}
			},
			"name":  func(n *yaml.Node) { r.word(n, "name", &u.Name) },
			"about": func(n *yaml.Node) { r.word(n, "about", &u.About) },
		})
		if slices.ContainsFunc(m.Users, func(o User) bool { return o.Handle == u.Handle }) {
			r.refuse(item, "users: the handle %q stands there twice", u.Handle)
		}
		m.Users = append(m.Users, u)
	}
}

func (r *reader) scopes(n *yaml.Node, m *Manifest) {
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, "scopes: a list of words is needed")
		return
	}
	for _, item := range n.Content {
		if !knownScope(item.Value) {
			r.refuse(item, "scopes: there is no scope %q; there are %s", item.Value, strings.Join(Scopes, ", "))
		}
		if !slices.Contains(m.Scopes, item.Value) {
			m.Scopes = append(m.Scopes, item.Value)
		}
	}
}

func (r *reader) limits(n *yaml.Node, m *Manifest) {
	r.fields(n, "limits", map[string]func(n *yaml.Node){
		"memory": func(n *yaml.Node) {
			bytes, err := parseBytes(n.Value)
			if err != nil || bytes < leastMemory || bytes > 64<<30 {
				r.refuse(n, "memory: %q is not a size from 160MiB to 64GiB", n.Value)
				return
			}
			m.Limits.Memory = bytes
		},
		"files": func(n *yaml.Node) {
			if n.Decode(&m.Limits.Files) != nil || m.Limits.Files < 32 || m.Limits.Files > 65536 {
				r.refuse(n, "files: %q is not a number from 32 to 65536", n.Value)
			}
		},
		"processes": func(n *yaml.Node) {
			if n.Decode(&m.Limits.Processes) != nil || m.Limits.Processes < 16 || m.Limits.Processes > 32768 {
				r.refuse(n, "processes: %q is not a number from 16 to 32768; threads are counted", n.Value)
			}
		},
		"cpu": func(n *yaml.Node) {
			if n.Decode(&m.Limits.CPU) != nil || !(m.Limits.CPU >= 0.05 && m.Limits.CPU <= 1024) {
				r.refuse(n, "cpu: %q is not a number of cores from 0.05 to 1024", n.Value)
			}
		},
	})
}

func parseBytes(text string) (int64, error) {
	for unit, shift := range map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
			return n << shift, err
		}
	}
	return strconv.ParseInt(text, 10, 64)
}

// binary is what m has for this machine.
func (m *Manifest) binary() (Binary, error) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if b, ok := m.Binaries[platform]; ok {
		return b, nil
	}
	if b, ok := m.Binaries["any"]; ok {
		return b, nil
	}
	return Binary{}, fmt.Errorf("%s %s has no binary for %s", m.ID, m.Version, platform)
}

// devMark is in versions that somebody works on: troupe bot dev makes them.
const devMark = "-dev."

// newer says whether version a comes after b.
func newer(a, b string) bool {
	if devA, devB := strings.Contains(a, devMark), strings.Contains(b, devMark); devA != devB {
		return devA // what somebody works on comes before all that is installed
	}
	coreA, preA, _ := strings.Cut(a, "-")
	coreB, preB, _ := strings.Cut(b, "-")
	as, bs := strings.Split(coreA, "."), strings.Split(coreB, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x > y
		}
	}
	switch { // 1.0.0 comes after 1.0.0-rc
	case preA == "" || preB == "":
		return preA == "" && preB != ""
	default:
		return preA > preB
	}
}
