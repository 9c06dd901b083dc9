package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Remote is protoactor's remote as a Transport. It has an actor system of its own with
// one actor in it: whoever gets in to the port reaches nobody else.
type Remote struct {
	system *actor.ActorSystem
	remote *remote.Remote
	closed atomic.Bool
}

// RemoteConfig says where a node listens for others.
type RemoteConfig struct {
	Listen    string      // HOST:PORT; port 0: any
	Advertise string      // where others reach it; "": Listen
	TLS       *tls.Config // nil: in the clear, to whoever comes
	Log       *slog.Logger
}

// door is the name of the one actor, and so frozen.
const door = "troupe"

const (
	maxMessage = 64 << 20 // above what 128 envelopes have together
	batch      = 32       // envelopes in one gRPC message
)

// Listen starts a node's remote. take gets what comes; it does not wait.
func Listen(cfg RemoteConfig, take func(*Envelope)) (_ *Remote, err error) {
	host, text, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("peers: listen on %q: %w", cfg.Listen, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("peers: listen on %q: %w", cfg.Listen, err)
	}
	probe, err := net.Listen("tcp", cfg.Listen) // the remote panics where it cannot listen
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	probe.Close()
	in, out := insecure.NewCredentials(), insecure.NewCredentials()
	if cfg.TLS != nil {
		in, out = credentials.NewTLS(cfg.TLS), credentials.NewTLS(cfg.TLS.Clone())
	}
	config := remote.Configure(host, port,
		remote.WithAdvertisedHost(cfg.Advertise),
		remote.WithEndpointWriterQueueSize(1024), remote.WithEndpointManagerQueueSize(1024), // where they begin: they grow
		remote.WithEndpointWriterBatchSize(batch), remote.WithEndpointManagerBatchSize(batch),
		remote.WithServerOptions(
			grpc.Creds(in), grpc.MaxRecvMsgSize(maxMessage), grpc.ChainStreamInterceptor(survive), grpc.ChainUnaryInterceptor(refuse),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 5 * time.Second, Timeout: 5 * time.Second}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(out), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Second, Timeout: 5 * time.Second}),
		),
	)
	config.MaxRetryCount = 1 // each costs two seconds; what is sent is sent again by the link
	r := &Remote{system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(calm{cfg.Log.Handler()})
	}))}
	defer func() {
		if e := recover(); e != nil { // somebody else listens there since a moment
			err = fmt.Errorf("peers: %v", e)
		}
	}()
	r.remote = remote.NewRemote(r.system, config)
	r.remote.Start()
	_, err = r.system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if e, ok := c.Message().(*Envelope); ok {
			take(e)
		}
	}), door)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("peers: %w", err)
	}
	return r, nil
}

// Address is where others reach this node.
func (r *Remote) Address() string { return r.system.Address() }

// Send gives an envelope to the remote.
func (r *Remote) Send(address string, e *Envelope) {
	if !r.closed.Load() {
		r.system.Root.Send(actor.NewPID(address, door), e)
	}
}

// Close ends it, within a second: it tells other nodes, which may not be there to hear it.
func (r *Remote) Close() {
	if r.closed.Swap(true) {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }() // it lets go of what its own goroutines still use
		r.remote.Shutdown(true)
	}()
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		r.remote.Shutdown(false)
	}
	r.system.Shutdown()
}

// survive ends a stream in which something came that the remote dies of.
func survive(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = status.Errorf(codes.InvalidArgument, "not for this node: %v", e)
		}
	}()
	return handle(server, stream)
}

// refuse answers the calls that the remote has and does not serve.
func refuse(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unimplemented, "nodes do not ask each other that")
}

// calm passes on of the remote's log what is an error, as a warning: that a node cannot
// be reached is nothing unusual.
type calm struct{ to slog.Handler }

func (h calm) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.to.Enabled(ctx, slog.LevelDebug)
}

func (h calm) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.to.Handle(ctx, r)
}

func (h calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{h.to.WithAttrs(attrs)} }
func (h calm) WithGroup(name string) slog.Handler       { return calm{h.to.WithGroup(name)} }

// NodeName is the name that every node's certificate is for, besides others: nodes know
// each other by it, whatever their addresses are.
const NodeName = "troupe-node"

// LoadTLS reads what nodes show each other, three PEM files: a certificate that is signed
// by ca and is for NodeName, and its key.
func LoadTLS(cert, key, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("node-cert, node-key: %w", err)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("node-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("node-ca: %s has no certificates", ca)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("node-cert: %w", err)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		between := x509.NewCertPool()
		for _, der := range pair.Certificate[1:] {
			if c, err := x509.ParseCertificate(der); err == nil {
				between.AddCert(c)
			}
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: NodeName, Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			return nil, fmt.Errorf("node-cert: other nodes would not take it: %w", err)
		}
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ServerName: NodeName,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}
