package main

import "testing"

func TestAProgramThatIsUnmappedGoesOn(t *testing.T) {
	resident := func() (bytes int64) {
		all, err := programMappings()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if !m.own {
				bytes += m.resident
			}
		}
		return bytes
	}
	before := resident()
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if after := resident(); before == 0 || after > before/2 {
		t.Errorf("%d bytes of the program are mapped, %d before", after, before)
	}
}
