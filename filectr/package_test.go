package filectr_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr"
)

// archive is a ZIP archive of files with these names.
func archive(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "what is in %s", name)
	}
	if err := w.SetComment(strings.Repeat("c", 300)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// many are more names than are read at a time.
func many(last string) (names []string) {
	for i := range 5000 {
		names = append(names, fmt.Sprintf("res/drawable/picture%04d.png", i))
	}
	return append(names, last)
}

func TestAPackageIsOneByItsContentAndItsName(t *testing.T) {
	s := newStage(t, nil)
	elf := "\x7fELF\x02\x01\x01\x00"
	ole := "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on"
	image := strings.Repeat("\x00\x01\x02", 400) // a disk image begins with anything
	koly := image + "koly" + strings.Repeat("\x00", 508)
	for _, c := range []struct{ name, content, mime, kind string }{
		{"troupe.apk", string(archive(t, "AndroidManifest.xml", "classes.dex")), "application/vnd.android.package-archive", "package"},
		{"TROUPE.APK", string(archive(t, many("AndroidManifest.xml")...)), "application/vnd.android.package-archive", "package"},
		{"troupe.ipa", string(archive(t, "Payload/Troupe.app/Info.plist")), "application/x-ios-app", "package"},
		{"troupe.msix", string(archive(t, "AppxManifest.xml")), "application/msix", "package"},
		{"troupe.appxbundle", string(archive(t, "AppxMetadata/AppxBundleManifest.xml")), "application/appxbundle", "package"},
		{"setup.exe", "MZ\x90\x00 and so on", "application/vnd.microsoft.portable-executable", "package"},
		{"setup.msi", ole, "application/x-msi", "package"},
		{"Troupe.dmg", koly, "application/x-apple-diskimage", "package"},
		{"Troupe.pkg", "xar!\x00\x1c", "application/x-xar", "package"},
		{"Troupe.AppImage", elf + "AI\x02", "application/vnd.appimage", "package"},
		{"troupe.deb", "!<arch>\ndebian-binary   1", "application/vnd.debian.binary-package", "package"},
		{"troupe.rpm", "\xed\xab\xee\xdb\x03", "application/x-rpm", "package"},

		{"report.apk", string(archive(t, "word/document.xml")), "application/zip", "document"},
		{"report.apk", string(archive(t, many("androidmanifest.xml")...)), "application/zip", "document"},
		{"cut.apk", string(archive(t, "AndroidManifest.xml")[:60]), "application/zip", "document"},
		{"troupe.zip", string(archive(t, "AndroidManifest.xml")), "application/zip", "document"},
		{"troupe", string(archive(t, "AndroidManifest.xml")), "application/zip", "document"},
		{"page.apk", "<html><script>alert(1)</script>", "application/octet-stream", "document"},
		{"picture.dmg", image, "application/octet-stream", "document"},
		{"troupe.dmg", string(archive(t, "a")), "application/zip", "document"},
		{"program", elf, "application/x-executable", "document"},
		{"program.AppImage", elf, "application/x-executable", "document"},
		{"library.dll", "MZ\x90\x00", "application/vnd.microsoft.portable-executable", "document"},
		{"bundle.aab", string(archive(t, "BundleConfig.pb")), "application/zip", "document"},
	} {
		f := s.upload("ann", c.name, []byte(c.content))
		if f.Mime != c.mime || f.Kind != c.kind {
			t.Errorf("%s is %s %q, want %s %q", c.name, f.Kind, f.Mime, c.kind, c.mime)
		}
		g := s.get("ann", f.ID)
		if d := g.header.Get("Content-Disposition"); g.header.Get("Content-Type") != c.mime || d != "attachment; filename="+c.name {
			t.Errorf("%s: %s, %s", c.name, g.header.Get("Content-Type"), d)
		}
	}
}

func TestAPackageHasItsOwnLimit(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.MaxPackage, c.MaxDocument = 1000, 100 })
	apk := archive(t, "AndroidManifest.xml")
	if len(apk) < 101 || len(apk) > 1000 {
		t.Fatalf("it has %d bytes", len(apk))
	}
	s.upload("ann", "a.apk", apk)
	for says, c := range map[string]struct {
		name    string
		content []byte
	}{
		"a package of more":           {"a.apk", archive(t, many("AndroidManifest.xml")...)},
		"an archive":                  {"a.zip", apk},
		"an archive called a package": {"a.apk", archive(t, "a")},
	} {
		if r := s.post("ann", c.name, c.content); r.status != 413 || r.code() != "TOO_LARGE" {
			t.Errorf("%s: %d %s", says, r.status, r.body)
		}
	}
}

func FuzzPackages(f *testing.F) {
	whole := archive(f, "AndroidManifest.xml", "b")
	f.Add(whole)
	f.Add(whole[:len(whole)-310])
	f.Add(archive(f, many("AndroidManifest.xml")...))
	f.Fuzz(func(t *testing.T, content []byte) {
		is := filectr.Packed(bytes.NewReader(content), int64(len(content)), "application/vnd.android.package-archive")
		if is && !bytes.Contains(content, []byte("AndroidManifest.xml")) {
			t.Error("a file that is nowhere was found")
		}
	})
}
