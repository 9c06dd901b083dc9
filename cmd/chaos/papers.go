package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// papers are files: what nodes show each other, an authority, a certificate and its key;
// and the secrets that they share.
type papers struct{ ca, cert, key, secrets string }

func makePapers(dir string) (p papers, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	node, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	one := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, DNSNames: []string{"troupe-node"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, signer.Public(), signer)
	if err != nil {
		return p, err
	}
	cert, err := x509.CreateCertificate(rand.Reader, one, authority, node.Public(), signer)
	if err != nil {
		return p, err
	}
	key, err := x509.MarshalECPrivateKey(node)
	if err != nil {
		return p, err
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		err = errors.Join(err, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	p = papers{write("ca.crt", "CERTIFICATE", ca), write("node.crt", "CERTIFICATE", cert), write("node.key", "EC PRIVATE KEY", key), filepath.Join(dir, "secrets.json")}
	seed, mac := make([]byte, 32), make([]byte, 32)
	rand.Read(seed)
	rand.Read(mac)
	shared, e := json.Marshal(map[string]any{"installation": "chaos", "signing": [][]byte{seed}, "refresh": mac})
	return p, errors.Join(err, e, os.WriteFile(p.secrets, shared, 0o600))
}
