package plugins

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsAreCheckedByTheirSchema(t *testing.T) {
	const schema = `{"type": "object", "additionalProperties": false, "required": ["city"], "properties": {
		"city": {"type": "string", "minLength": 1}, "days": {"type": "integer", "minimum": 1, "maximum": 9},
		"unit": {"enum": ["C", "F"]}, "every": {"type": "string", "format": "duration"}, "key": {"type": "string", "pattern": "^k-"},
		"where": {"type": "object", "properties": {"lat": {"type": "number"}}}}}`
	for settings, want := range map[string]string{
		`{"city":"Oslo","days":3,"unit":"C","every":"90s","key":"k-1","where":{"lat":1.5}}`: "",
		``:                                     `bot-config, the settings of bot weather: missing property 'city'`,
		`{"city":"Oslo","dayz":3}`:             `additional properties 'dayz' not allowed`,
		`{"city":"Oslo","days":"three"}`:       `days: got string, want integer`,
		`{"city":"Oslo","days":10}`:            `days: maximum`,
		`{"city":"Oslo","unit":"K"}`:           `unit: it has to be one of ["C","F"]`,
		`{"city":"Oslo","every":"soon"}`:       `every: a time like 90s`,
		`{"city":"Oslo","where":{"lat":"59"}}`: `where.lat: got string, want number`,
		`{"city":"Oslo","key":"hidden"}`:       `key: it has to look like ^k-`,
		`{"days":"x","unit":1}`:                `; `,
	} {
		err := checkSettings("weather", schema, settings)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("the error has the value: %v", err)
		}
	}
}

func TestASchemaReachesNothingButItself(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"type":"string"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{`{"$ref":"file://` + secret + `"}`, `{"$ref":"http://127.0.0.1:1/x"}`, `{"type":"colour"}`, `[`, `{"properties":{"a":{"minimum":"x"}}}`} {
		if err := checkSettings("weather", schema, `{}`); err == nil || !strings.Contains(err.Error(), "is no JSON Schema") {
			t.Errorf("%s: %v", schema, err)
		}
	}
	if err := checkSettings("weather", `{"$defs":{"a":{"type":"object"}},"$ref":"#/$defs/a"}`, ``); err != nil {
		t.Errorf("of itself: %v", err)
	}
}
