package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// object is what is read of a Kubernetes object; settings.env and kustomization.yaml say the rest.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
	Spec yaml.Node
}

type deployment struct {
	Replicas *int
	Selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	Template struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Spec     struct {
			Grace           int `yaml:"terminationGracePeriodSeconds"`
			SecurityContext struct {
				RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
				RunAsUser      int                   `yaml:"runAsUser"`
				SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
			} `yaml:"securityContext"`
			Containers []container
			Volumes    []struct {
				Name   string
				Secret struct {
					SecretName string `yaml:"secretName"`
				}
			}
		}
	}
}

type container struct {
	Image   string
	Args    []string
	EnvFrom []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Startup   probe `yaml:"startupProbe"`
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Lifecycle struct {
		PreStop struct {
			Sleep struct{ Seconds int }
		} `yaml:"preStop"`
	}
	SecurityContext struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

const manifests = "deploy/kubernetes/"

// kustomization is what is read of it.
type kustomization struct {
	Resources  []string
	ConfigMaps []struct {
		Name string
		Envs []string
	} `yaml:"configMapGenerator"`
	Secrets []struct {
		Name  string
		Files []string
	} `yaml:"secretGenerator"`
}

func kustomized(t *testing.T) kustomization {
	t.Helper()
	return documents[kustomization](t, manifests+"kustomization.yaml")[0]
}

// objects gives all objects of a kind.
func objects(t *testing.T, kind string) (all []object) {
	t.Helper()
	for _, file := range kustomized(t).Resources {
		for _, o := range documents[object](t, manifests+file) {
			if o.APIVersion == "" || o.Metadata.Name == "" {
				t.Errorf("%s: an object without version or name", file)
			}
			if o.Kind == kind {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("there is no %s", kind)
	}
	return all
}

func theDeployment(t *testing.T) (d deployment) {
	t.Helper()
	if err := objects(t, "Deployment")[0].Spec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// pod is what the Deployment's one container is started with.
func pod(t *testing.T) deployed {
	t.Helper()
	d, k := theDeployment(t), kustomized(t)
	c := d.Template.Spec.Containers[0]
	p := deployed{args: c.Args[1:], env: theImage(t).env, files: map[string]string{}}
	for _, from := range c.EnvFrom {
		for _, m := range k.ConfigMaps {
			if m.Name == from.ConfigMapRef.Name {
				p.env = merged(p.env, envFile(t, manifests+m.Envs[0]))
			}
		}
	}
	for _, e := range c.Env {
		if strings.HasPrefix(e.Name, "TROUPE_") {
			p.env[e.Name] = strings.ReplaceAll(e.Value, "$(POD_IP)", "10.42.0.7")
		}
	}
	for _, m := range c.VolumeMounts {
		for _, v := range d.Template.Spec.Volumes {
			if v.Name != m.Name || v.Secret.SecretName == "" {
				continue
			}
			i := slices.IndexFunc(k.Secrets, func(s struct {
				Name  string
				Files []string
			}) bool {
				return s.Name == v.Secret.SecretName
			})
			if i < 0 {
				t.Fatalf("nothing makes the secret %s", v.Secret.SecretName)
			}
			for _, f := range k.Secrets[i].Files {
				key, _, _ := strings.Cut(f, "=")
				p.files[m.MountPath+"/"+key] = ""
			}
		}
	}
	return p
}

func envFile(t *testing.T, file string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(read(t, file)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Errorf("%s: %q is no variable", file, line)
		}
		all[name] = value
	}
	return all
}

func TestTheDeploymentFitsTheProgram(t *testing.T) {
	d, p, i := theDeployment(t), pod(t), theImage(t)
	s := d.Template.Spec
	if len(s.Containers) != 1 {
		t.Fatalf("%d containers", len(s.Containers))
	}
	c := s.Containers[0]
	ports := map[string]string{}
	for _, port := range c.Ports {
		ports[port.Name] = strconv.Itoa(port.ContainerPort)
	}
	for name, setting := range map[string]string{"http": "TROUPE_LISTEN", "node": "TROUPE_NODE_LISTEN"} {
		if _, port, _ := strings.Cut(p.env[setting], ":"); ports[name] != port {
			t.Errorf("port %s is %s, and %s is %s", name, ports[name], setting, p.env[setting])
		}
	}
	if _, port, _ := strings.Cut(p.env["TROUPE_NODE_ADVERTISE"], ":"); port != ports["node"] {
		t.Errorf("others are told %s", p.env["TROUPE_NODE_ADVERTISE"])
	}
	for name, q := range map[string]probe{"startup": c.Startup, "liveness": c.Liveness, "readiness": c.Readiness} {
		if q.HTTPGet.Path == "" || ports[q.HTTPGet.Port] == "" {
			t.Errorf("the %s probe asks %+v", name, q)
		}
	}
	if c.Readiness.HTTPGet.Path != "/readyz" || c.Liveness.HTTPGet.Path != "/healthz" {
		t.Error("what is not ready would be restarted, or what does not live be served")
	}
	drain, err := time.ParseDuration(p.env["TROUPE_DRAIN"])
	if err != nil {
		t.Fatal(err)
	}
	if least := drain + time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second + 5*time.Second; time.Duration(s.Grace)*time.Second < least {
		t.Errorf("it is killed after %d s, a stop may take %v", s.Grace, least)
	}
	if !s.SecurityContext.RunAsNonRoot || strings.Split(i.user, ":")[0] != strconv.Itoa(s.SecurityContext.RunAsUser) || s.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("its user is %+v, the image's %s", s.SecurityContext, i.user)
	}
	if x := c.SecurityContext; x.Escalation == nil || *x.Escalation || !x.ReadOnly || !slices.Equal(x.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container may too much: %+v", x)
	}
	mounts := map[string]bool{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = slices.ContainsFunc(s.Volumes, func(v struct {
			Name   string
			Secret struct {
				SecretName string `yaml:"secretName"`
			}
		}) bool {
			return v.Name == m.Name
		})
	}
	if !mounts[p.env["TROUPE_DATA"]] || !mounts["/tmp"] {
		t.Errorf("mounted are %v; the data directory and /tmp have to be", mounts)
	}
	for name, value := range p.env { // a file that a setting names is one of a secret
		for _, file := range regexp.MustCompile(`/etc/troupe/[a-z0-9./-]+`).FindAllString(value, -1) {
			if _, ok := p.files[file]; !ok {
				t.Errorf("%s names %s, which no secret has", name, file)
			}
		}
	}
	if d.Replicas != nil {
		t.Error("the Deployment says how many there are, which is the autoscaler's to say")
	}
}

// What stands beside the Deployment means it.
func TestTheOtherManifestsMeanTheDeployment(t *testing.T) {
	d := theDeployment(t)
	label := d.Selector.MatchLabels["app.kubernetes.io/name"]
	if label == "" || d.Template.Metadata.Labels["app.kubernetes.io/name"] != label {
		t.Fatalf("it selects %v and labels %v", d.Selector, d.Template.Metadata.Labels)
	}
	named := []string{}
	for _, p := range d.Template.Spec.Containers[0].Ports {
		named = append(named, p.Name)
	}
	services := map[string]bool{}
	headless := false
	for _, o := range objects(t, "Service") {
		var s struct {
			ClusterIP string `yaml:"clusterIP"`
			Selector  map[string]string
			Ports     []struct {
				TargetPort string `yaml:"targetPort"`
			}
		}
		if err := o.Spec.Decode(&s); err != nil {
			t.Fatal(err)
		}
		services[o.Metadata.Name] = true
		headless = headless || s.ClusterIP == "None"
		if s.Selector == nil {
			continue
		}
		if s.Selector["app.kubernetes.io/name"] != label {
			t.Errorf("service %s selects %v", o.Metadata.Name, s.Selector)
		}
		for _, p := range s.Ports {
			if !slices.Contains(named, p.TargetPort) {
				t.Errorf("service %s leads to port %q", o.Metadata.Name, p.TargetPort)
			}
		}
	}
	if !headless {
		t.Error("there is no headless service")
	}
	for _, kind := range []string{"Ingress", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"} {
		for _, o := range objects(t, kind) {
			text, err := yaml.Marshal(&o.Spec)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), label) {
				t.Errorf("%s %s does not mean the Deployment", kind, o.Metadata.Name)
			}
			for _, m := range regexp.MustCompile(`service: \{?\s*name: ([a-z-]+)`).FindAllStringSubmatch(string(text), -1) {
				if !services[m[1]] {
					t.Errorf("%s %s names the service %s", kind, o.Metadata.Name, m[1])
				}
			}
		}
	}
}

// probes are the paths that manifests, compose and docs have asked.
func probes(t *testing.T) []string {
	t.Helper()
	paths := regexp.MustCompile(`(?:path: |health_uri )(/[a-z]*z)\b`)
	found := map[string]bool{}
	for _, file := range deployFiles(t) {
		for _, m := range paths.FindAllStringSubmatch(read(t, file), -1) {
			found[m[1]] = true
		}
	}
	if len(found) < 2 {
		t.Errorf("only %v are asked", found)
	}
	return slices.Sorted(func(yield func(string) bool) {
		for p := range found {
			if !yield(p) {
				return
			}
		}
	})
}

func TestKustomizeTakesTheManifests(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl on the PATH")
	}
	dir := filepath.Join(t.TempDir(), "kubernetes")
	if err := os.CopyFS(dir, os.DirFS(manifests)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(kubectl, "kustomize", dir).CombinedOutput(); err == nil {
		t.Errorf("without secrets it gives something:\n%s", out)
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, s := range kustomized(t).Secrets {
		for _, f := range s.Files {
			_, file, _ := strings.Cut(f, "=")
			if err := os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command(kubectl, "kustomize", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"kind: Deployment", "kind: Secret", "image: troupe:v", "namespace: troupe"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("what it gives has no %q", want)
		}
	}
}
