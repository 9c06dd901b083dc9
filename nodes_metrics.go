package main

import "github.com/prometheus/client_golang/prometheus"

// nodeMetrics is what may be counted of several nodes; nothing, where there is one.
type nodeMetrics struct{ s *server }

func nodeGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("troupe_node_"+name, help, labels, nil)
}

var (
	nodeMembers   = nodeGauge("members", "Nodes that this one sees, itself included.")
	nodeView      = nodeGauge("view_version", "Rises with each node that comes or goes; alike at all nodes.")
	nodeSessions  = nodeGauge("owned_sessions", "Sessions that are in this node's memory, and so are its own.")
	nodeWaiting   = nodeGauge("waiting_requests", "Requests at other nodes that have no answer yet.")
	nodeForwarded = nodeGauge("forwarded_requests_total", "Requests given to another node.")
	nodeAgain     = nodeGauge("retried_requests_total", "Requests given to a further node, as the first had gone or did not have the session.")
	nodeBusy      = nodeGauge("busy_requests_total", "Requests for other nodes that were answered BUSY.")
	nodeServed    = nodeGauge("served_requests_total", "Requests of other nodes.")
	nodeMoved     = nodeGauge("moved_sessions_total", "Sessions that this node gave to another one.")
	redisLosses   = prometheus.NewDesc("troupe_redis_losses_total", "How often events may have been lost on their way through Redis, and were read from the log.", nil, nil)
)

// Describe fills prometheus.Collector.
func (m nodeMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect fills prometheus.Collector.
func (m nodeMetrics) Collect(to chan<- prometheus.Metric) {
	is, ok := m.s.node.ClusterState()
	if !ok {
		return
	}
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v int64) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(v))
	}
	sessions, _ := m.s.node.Loaded()
	put(nodeMembers, prometheus.GaugeValue, int64(len(is.Members)))
	put(nodeView, prometheus.GaugeValue, is.Version)
	put(nodeSessions, prometheus.GaugeValue, int64(sessions))
	put(nodeWaiting, prometheus.GaugeValue, int64(is.Waiting))
	put(nodeForwarded, prometheus.CounterValue, is.Forwarded)
	put(nodeAgain, prometheus.CounterValue, is.Again)
	put(nodeBusy, prometheus.CounterValue, is.Busy)
	put(nodeServed, prometheus.CounterValue, is.Served)
	put(nodeMoved, prometheus.CounterValue, is.Moved)
	put(redisLosses, prometheus.CounterValue, m.s.streams.Stats().Losses.Load())
}
