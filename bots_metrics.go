package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
)

// botMetrics is what may be counted of bots, asked for when somebody reads /metrics.
type botMetrics struct{ s *server }

// botGauge makes what a metric of bots is described by.
func botGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("troupe_bot_"+name, help, append([]string{"bot"}, labels...), nil)
}

var (
	botUp          = botGauge("up", "1: the bot takes events, here or at another node that it came to.")
	botRestarts    = botGauge("restarts_total", "Starts of the bot's process after the first.")
	botCrashes     = botGauge("crashes_total", "Ends of the bot's process that should not have been.")
	botCircuit     = botGauge("circuit_open", "1: it crashed too often and is not tried.")
	botRSS         = botGauge("resident_bytes", "Memory of the bot's process.")
	botPSS         = botGauge("proportional_bytes", "Memory of the bot's process, of which what it shares counts in part.")
	botLagEvents   = botGauge("lag_events", "Entries of sessions that the bot was not given yet.")
	botLagSeconds  = botGauge("lag_seconds", "Age of the oldest event that the bot has not done.")
	botHeld        = botGauge("held_events", "Events that wait for the bot in memory.")
	botDrafts      = botGauge("drafts", "Answers that the bot is writing.")
	botAcks        = botGauge("ack_seconds", "Time from when the bot is first given an event until it has done it.")
	botRedelivered = botGauge("redelivered_total", "Events that the bot was given again.")
	botDead        = botGauge("dead_letters_total", "Events that were given up.")
	botDuplicates  = botGauge("duplicates_total", "Answers that the bot gave again, and that are shown once.")
	botDropped     = botGauge("dropped_total", "Events that nobody waited for any more.")
	botJudged      = botGauge("moderated_total", "Messages that the bot looked at before others did.")
	botUnjudged    = botGauge("moderation_timeouts_total", "Messages that it did not look at in time.")
)

// Describe fills prometheus.Collector: which bots there are is known when it is asked.
func (m botMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect fills prometheus.Collector.
func (m botMetrics) Collect(to chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, id string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, id)
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	is := map[bool]float64{true: 1}
	here := map[string]bool{}
	for _, b := range m.s.bots.Status(true) {
		here[b.ID] = true
		put(botUp, gauge, is[b.Up], b.ID)
		put(botRestarts, counter, float64(max(0, b.Starts-1)), b.ID)
		put(botCrashes, counter, float64(b.Crashes), b.ID)
		put(botCircuit, gauge, is[b.Circuit != plugins.Closed], b.ID)
		put(botRSS, gauge, float64(b.RSS), b.ID)
		put(botPSS, gauge, float64(b.PSS), b.ID)
	}
	bounds := desk.Bounds()
	for _, d := range m.s.desks.Status() {
		if !here[d.Plugin] {
			put(botUp, gauge, is[d.State == "online" || len(d.Nodes) > 0], d.Plugin)
		}
		put(botLagEvents, gauge, float64(d.LagEvents), d.Plugin)
		put(botLagSeconds, gauge, d.LagSeconds, d.Plugin)
		put(botHeld, gauge, float64(d.Held), d.Plugin)
		put(botDrafts, gauge, float64(d.Drafts), d.Plugin)
		put(botRedelivered, counter, float64(d.Redelivered), d.Plugin)
		put(botDead, counter, float64(d.DeadLetters), d.Plugin)
		put(botDuplicates, counter, float64(d.Duplicates), d.Plugin)
		put(botDropped, counter, float64(d.TooOld), d.Plugin)
		put(botJudged, counter, float64(d.Judged), d.Plugin)
		put(botUnjudged, counter, float64(d.Unjudged), d.Plugin)
		buckets, sum := map[float64]uint64{}, uint64(0)
		for i, n := range d.Latency.Counts {
			sum += uint64(n)
			if i < len(bounds) {
				buckets[bounds[i]] = sum
			}
		}
		to <- prometheus.MustNewConstHistogram(botAcks, sum, d.Latency.Sum, buckets, d.Plugin)
	}
	for _, n := range m.s.models.Numbers() {
		var names, values []string
		for k, v := range n.Labels {
			names, values = append(names, k), append(values, v)
		}
		kind := counter
		if n.Gauge {
			kind = gauge
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(n.Name, n.Help, names, nil), kind, n.Value, values...)
	}
}
