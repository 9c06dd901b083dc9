package userctr

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SecretsFile lies in the data directory, for its owner's eyes only. A backup needs it.
const SecretsFile = "secrets.json"

// issuerPrefix is what the iss of our own tokens begins with; the installation's id follows.
const issuerPrefix = "troupe:"

// secretsForm is the file: what an installation has that no other has.
type secretsForm struct {
	Installation string   `json:"installation"` // its id, the issuer of its tokens
	Signing      [][]byte `json:"signing"`      // Ed25519 seeds; the first signs, all are good
	Refresh      []byte   `json:"refresh"`      // the HMAC key of refresh tokens
}

type secrets struct {
	issuer  string
	kid     string // of private
	private ed25519.PrivateKey
	public  map[string]ed25519.PublicKey // by kid
	refresh []byte
}

// loadSecrets reads the secrets of path, or of a data directory, and makes them at the first
// start. A file that everybody on the machine may read or write is refused.
func loadSecrets(dir, path string) (*secrets, error) {
	if path == "" {
		path = filepath.Join(dir, SecretsFile)
	} else if _, err := os.Stat(path); err != nil { // that several nodes share: none makes its own
		return nil, fmt.Errorf("userctr: the secrets that all nodes share: %w; \"troupe secrets new FILE\" makes them, for all nodes once", err)
	}
	text, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecrets(dir, path); err != nil {
			return nil, fmt.Errorf("userctr: make the secrets: %w", err)
		}
		text, err = readSecret(path) // which may be another process's: the first stays
	}
	if err != nil {
		return nil, fmt.Errorf("userctr: the secrets: %w", err)
	}
	form, err := parseSecrets(text, path)
	if err != nil {
		return nil, err
	}
	return form.open(path)
}

// Installation reads the id of the installation whose secrets are in the file at path. It makes none.
func Installation(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", fmt.Errorf("userctr: the secrets: %w", err)
	}
	form, err := parseSecrets(text, path)
	if err != nil {
		return "", err
	}
	_, err = form.open(path)
	return form.Installation, err
}

func parseSecrets(text []byte, path string) (*secretsForm, error) {
	form := &secretsForm{}
	if err := json.Unmarshal(text, form); err != nil {
		return nil, fmt.Errorf("userctr: %s is damaged; restore it from a backup, as without it every sign-in ends", path)
	}
	return form, nil
}

func (f *secretsForm) open(path string) (*secrets, error) {
	s := &secrets{issuer: issuerPrefix + f.Installation, public: map[string]ed25519.PublicKey{}, refresh: f.Refresh}
	if f.Installation == "" || len(f.Signing) == 0 || len(f.Refresh) < minSecret {
		return nil, fmt.Errorf("userctr: %s lacks a secret", path)
	}
	for i, seed := range f.Signing {
		if len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("userctr: %s has a signing key of %d bytes", path, len(seed))
		}
		private := ed25519.NewKeyFromSeed(seed)
		public := private.Public().(ed25519.PublicKey)
		sum := sha256.Sum256(public)
		kid := base64.RawURLEncoding.EncodeToString(sum[:9])
		s.public[kid] = public
		if i == 0 {
			s.private, s.kid = private, kid
		}
	}
	return s, nil
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("%s is open to everybody on this machine (mode %04o): chmod 600 it", path, mode)
	}
	return os.ReadFile(path)
}

// NewSecrets makes the secrets of an installation whose nodes share them, as a file that does
// not exist yet; only its owner may read it.
func NewSecrets(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already", path)
	}
	return makeSecrets(filepath.Dir(path), path)
}

// makeSecrets writes the file as a whole or not at all, and never over another.
func makeSecrets(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	form := secretsForm{Installation: newID(""), Signing: [][]byte{make([]byte, ed25519.SeedSize)}, Refresh: make([]byte, 32)}
	rand.Read(form.Signing[0])
	rand.Read(form.Refresh)
	text, err := json.MarshalIndent(form, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, SecretsFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(tmp.Name(), path); err != nil { // a file system without links
			return err
		}
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// mac is keyed by what only this installation knows; what keeps its uses apart.
func (s *secrets) mac(what string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s.refresh)
	h.Write([]byte(what))
	for _, p := range parts {
		h.Write([]byte{byte(len(p))})
		h.Write(p)
	}
	return h.Sum(nil)
}

// Derive gives 32 bytes that only this installation knows, for what: a key for
// whoever else signs something.
func (c *Center) Derive(what string) []byte { return c.keys.mac("derived", []byte(what)) }
