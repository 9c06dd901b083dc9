package reminder

import (
	"fmt"
	"strings"
	"time"
)

var units = []struct {
	d      time.Duration
	en, zh string
}{
	{24 * time.Hour, "day", "天"}, {time.Hour, "hour", "小时"}, {time.Minute, "minute", "分钟"}, {time.Second, "second", "秒"},
}

// Span is a duration as people say it, by its two largest units: 1 hour 30 minutes.
func Span(d time.Duration, locale string) string {
	d = max(d.Round(time.Second), time.Second)
	var parts []string
	zh := strings.HasPrefix(locale, "zh")
	for _, u := range units {
		n := int64(d / u.d)
		if n == 0 || len(parts) == 2 {
			continue
		}
		d -= time.Duration(n) * u.d
		switch {
		case zh:
			parts = append(parts, fmt.Sprintf("%d%s", n, u.zh))
		case n == 1:
			parts = append(parts, "1 "+u.en)
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.en))
		}
	}
	if zh {
		return strings.Join(parts, "")
	}
	return strings.Join(parts, " ")
}
