package load

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Result is one run of one scenario on one server. Fields that a scenario does not
// measure are zero. CPU is the server's, user and system, in microseconds unless said.
type Result struct {
	Target   string  `json:"target"`
	Scenario string  `json:"scenario"`
	Shape    string  `json:"shape"`
	Seconds  float64 `json:"seconds"`

	Acked              int64   `json:"acked,omitempty"`
	Delivered          int64   `json:"delivered,omitempty"`
	AckedPerSecond     float64 `json:"ackedPerSecond,omitempty"`
	DeliveredPerSecond float64 `json:"deliveredPerSecond,omitempty"`
	CPUPerAcked        float64 `json:"cpuPerAcked,omitempty"`
	CPUPerDelivery     float64 `json:"cpuPerDelivery,omitempty"`
	Cores              float64 `json:"cores,omitempty"` // that the server used
	Ack                Latency `json:"ack,omitzero"`
	Deliver            Latency `json:"deliver,omitzero"`

	Connections        int     `json:"connections,omitempty"`
	CPUPerConnect      float64 `json:"cpuPerConnect,omitempty"`
	CPUPerReconnect    float64 `json:"cpuPerReconnect,omitempty"` // of users that the server has seen before
	BytesPerConnection float64 `json:"bytesPerConnection,omitempty"`
	PSS                int64   `json:"pss,omitempty"` // of the whole server at the end, bytes

	Entries       int     `json:"entries,omitempty"`
	CatchUp       Latency `json:"catchUp,omitzero"`
	CPUPerCatchUp float64 `json:"cpuPerCatchUpMs,omitempty"`
	Page          Latency `json:"page,omitzero"`
	CPUPerPage    float64 `json:"cpuPerPage,omitempty"`
	ColdStart     float64 `json:"coldStartMs,omitempty"`

	Files *Files `json:"files,omitempty"`

	Checks Checks `json:"checks"`
}

// files is r.Files, or none of their figures.
func (r *Result) files() Files {
	if r.Files == nil {
		return Files{}
	}
	return *r.Files
}

// figure is one number of a result that is compared with the floor's.
type figure struct {
	name string
	unit string
	of   func(*Result) float64
}

var figures = []figure{
	{"CPU per acked message", "µs", func(r *Result) float64 { return r.CPUPerAcked }},
	{"CPU per delivery", "µs", func(r *Result) float64 { return r.CPUPerDelivery }},
	{"acked", "/s", func(r *Result) float64 { return r.AckedPerSecond }},
	{"delivered", "/s", func(r *Result) float64 { return r.DeliveredPerSecond }},
	{"send to ack p99", "ms", func(r *Result) float64 { return r.Ack.P99 }},
	{"send to deliver p99", "ms", func(r *Result) float64 { return r.Deliver.P99 }},
	{"CPU per connect", "µs", func(r *Result) float64 { return r.CPUPerConnect }},
	{"CPU per reconnect", "µs", func(r *Result) float64 { return r.CPUPerReconnect }},
	{"memory per connection", "B", func(r *Result) float64 { return r.BytesPerConnection }},
	{"whole server", "MB", func(r *Result) float64 { return float64(r.PSS) / 1e6 }},
	{"catch-up p50", "ms", func(r *Result) float64 { return r.CatchUp.P50 }},
	{"CPU per catch-up", "ms", func(r *Result) float64 { return r.CPUPerCatchUp }},
	{"history page p50", "ms", func(r *Result) float64 { return r.Page.P50 }},
	{"history page p99", "ms", func(r *Result) float64 { return r.Page.P99 }},
	{"CPU per history page", "µs", func(r *Result) float64 { return r.CPUPerPage }},
	{"uploads of 100 KB", "/s", func(r *Result) float64 { return r.files().SmallUploads }},
	{"downloads of 100 KB", "/s", func(r *Result) float64 { return r.files().SmallDownloads }},
	{"uploads of 100 MB", "/s", func(r *Result) float64 { return r.files().LargeUploads }},
	{"downloads of 100 MB", "/s", func(r *Result) float64 { return r.files().LargeDownloads }},
	{"memory while they come", "MB", func(r *Result) float64 { return float64(r.files().LargestUp) / 1e6 }},
	{"picture of 12 megapixels", "ms", func(r *Result) float64 { return r.files().Picture }},
	{"cold start after SIGKILL", "ms", func(r *Result) float64 { return r.ColdStart }},
}

// print writes one run in a few lines.
func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "%-7s %s %s, %.1f s\n", r.Target, r.Scenario, r.Shape, r.Seconds)
	if r.Acked > 0 {
		fmt.Fprintf(w, "  acked      %10.0f /s   CPU %6.1f µs each   send to ack     p50 %.2f  p95 %.2f  p99 %.2f  max %.1f ms\n",
			r.AckedPerSecond, r.CPUPerAcked, r.Ack.P50, r.Ack.P95, r.Ack.P99, r.Ack.Max)
		fmt.Fprintf(w, "  delivered  %10.0f /s   CPU %6.1f µs each   send to deliver p50 %.2f  p95 %.2f  p99 %.2f  max %.1f ms\n",
			r.DeliveredPerSecond, r.CPUPerDelivery, r.Deliver.P50, r.Deliver.P95, r.Deliver.P99, r.Deliver.Max)
		fmt.Fprintf(w, "  server     %10.2f cores, %.0f MB\n", r.Cores, float64(r.PSS)/1e6)
	}
	if r.CPUPerConnect > 0 {
		fmt.Fprintf(w, "  connect    %10.1f µs CPU each, %.0f connects/s; of known users %.1f µs\n", r.CPUPerConnect, float64(r.Connections)/r.Seconds, r.CPUPerReconnect)
		fmt.Fprintf(w, "  memory     %10.0f B per connection, %.1f MB in all (PSS)\n", r.BytesPerConnection, float64(r.PSS)/1e6)
	}
	if r.CatchUp.P50 > 0 {
		fmt.Fprintf(w, "  catch-up   %10d entries   CPU %.2f ms each   p50 %.2f  p95 %.2f  max %.2f ms\n",
			r.Entries, r.CPUPerCatchUp, r.CatchUp.P50, r.CatchUp.P95, r.CatchUp.Max)
	}
	if r.Page.P50 > 0 {
		fmt.Fprintf(w, "  pages      %10d entries in the store   CPU %.0f µs each   p50 %.2f  p99 %.2f  max %.1f ms   cold start %.0f ms\n",
			r.Entries, r.CPUPerPage, r.Page.P50, r.Page.P99, r.Page.Max, r.ColdStart)
	}
	if f := r.Files; f != nil {
		fmt.Fprintf(w, "  100 KB     %10.0f uploads/s, %.0f downloads/s (%d at once)\n", f.SmallUploads, f.SmallDownloads, smallAtOnce)
		if f.Large > 0 {
			fmt.Fprintf(w, "  100 MB     %10.2f uploads/s (%.0f MB/s, %d at once), %.2f downloads/s (%.0f MB/s, %d at once)\n",
				f.LargeUploads, f.LargeUploads*100, f.Large, f.LargeDownloads, f.LargeDownloads*100, largeReads)
			fmt.Fprintf(w, "  memory     %10.0f MB before, %.0f MB at most while they came, %.0f MB while they went (PSS)\n",
				float64(f.Before)/1e6, float64(f.LargestUp)/1e6, float64(f.LargestDown)/1e6)
		}
		fmt.Fprintf(w, "  picture    %10.0f ms until one of 12 megapixels is kept, cleaned and with its smaller ones\n", f.Picture)
	}
	if err := r.Checks.Err(); err != nil {
		fmt.Fprintf(w, "  FAILED     %v\n", err)
	} else {
		fmt.Fprintln(w, "  checked    nothing lost, doubled, out of order, refused or broken")
	}
}

// summarize prints min, median and max of each figure over the repeats, and the
// ratio of the medians to the floor's.
func summarize(w io.Writer, results []*Result) {
	by := map[string][]*Result{}
	for _, r := range results {
		by[r.Target] = append(by[r.Target], r)
	}
	mine, base := by["troupe"], by["floor"]
	fmt.Fprintf(w, "\n%s %s, %d runs: min / median / max\n", results[0].Scenario, results[0].Shape, len(mine))
	for _, f := range figures {
		m := spread(mine, f)
		b := spread(base, f)
		if m[1] == 0 && b[1] == 0 {
			continue
		}
		fmt.Fprintf(w, "  %-26s %s", f.name, show(m, f.unit))
		if len(base) > 0 && b[1] > 0 {
			fmt.Fprintf(w, "   floor %s   ratio %.2f", show(b, f.unit), m[1]/b[1])
		}
		fmt.Fprintln(w)
	}
}

func spread(rs []*Result, f figure) (v [3]float64) {
	if len(rs) == 0 {
		return v
	}
	var all []float64
	for _, r := range rs {
		all = append(all, f.of(r))
	}
	slices.Sort(all)
	return [3]float64{all[0], all[len(all)/2], all[len(all)-1]}
}

func show(v [3]float64, unit string) string {
	form := "%.1f / %.1f / %.1f %s"
	if v[1] >= 1000 {
		form = "%.0f / %.0f / %.0f %s"
	}
	return fmt.Sprintf(form, v[0], v[1], v[2], unit)
}

func writeJSON(w io.Writer, results []*Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(results)
}
