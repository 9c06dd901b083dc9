package gateway

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/troupe-im/troupe/internal/protocol"
)

// metrics is what an operator may count of the gateway. It holds no name of anybody.
type metrics struct {
	registry *prometheus.Registry
	frames   map[string]prometheus.Counter // by type, made once: looking one up by labels costs more than a frame
	unknown  prometheus.Counter
	out      prometheus.Counter
	acks     prometheus.Counter
	pushes   prometheus.Counter
	closes   *prometheus.CounterVec
	requests *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), frames: map[string]prometheus.Counter{}}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "troupe_" + name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	in := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_frames_received_total", Help: "Frames from clients, by type."}, []string{"type"})
	m.closes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_closes_total", Help: "Ended WebSockets, by close code; 1006 is an end without one."}, []string{"code"})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_http_requests_total", Help: "REST requests, by operation and status."}, []string{"operation", "status"})
	m.registry.MustRegister(in, m.closes, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	fields := (*protocol.Frame)(nil).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		if fields.ByName(protoreflect.Name(name+"_reply")) != nil { // what clients send has an answer
			m.frames[name] = in.WithLabelValues(name)
		}
	}
	m.unknown = in.WithLabelValues("unknown")
	m.out = counter("frames_sent_total", "Frames to clients.")
	m.acks = counter("acks_sent_total", "Messages acknowledged to their senders.")
	m.pushes = counter("deliveries_total", "Log entries delivered to connections.")
	return m
}

// watch adds what is counted when it is asked for.
func (m *metrics) watch(g *WS) {
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "troupe_" + name, Help: help}, f))
	}
	gauge("connections", "Open WebSockets.", func() float64 {
		g.mu.Lock()
		defer g.mu.Unlock()
		return float64(len(g.sockets))
	})
	gauge("queue_bytes", "Bytes that wait for slow sockets, estimated.", func() float64 {
		sum := 0
		for _, s := range g.all() {
			s.mu.Lock()
			sum += s.bytes
			s.mu.Unlock()
		}
		return float64(sum)
	})
}

func (m *metrics) frame(f *protocol.Frame) {
	if f != nil && f.Body != nil {
		if c, ok := m.frames[f.Type()]; ok {
			c.Inc()
			return
		}
	}
	m.unknown.Inc()
}

func (m *metrics) sent(acks, pushes, all int) {
	if acks > 0 {
		m.acks.Add(float64(acks))
	}
	if pushes > 0 {
		m.pushes.Add(float64(pushes))
	}
	if all > 0 {
		m.out.Add(float64(all))
	}
}

func (m *metrics) closed(code int) { m.closes.WithLabelValues(strconv.Itoa(code)).Inc() }

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
