package filectr

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// packages are the types of application packages: what devices install.
const (
	apk  = "application/vnd.android.package-archive"
	ipa  = "application/x-ios-app"
	msix = "application/msix"
	appx = "application/appx"
	// Bundles of the two for several machines.
	msixBundle = "application/msixbundle"
	appxBundle = "application/appxbundle"
	exe        = "application/vnd.microsoft.portable-executable"
	msi        = "application/x-msi"
	dmg        = "application/x-apple-diskimage"
	xar        = "application/x-xar" // .pkg of macOS
	appImage   = "application/vnd.appimage"
	deb        = "application/vnd.debian.binary-package"
	rpm        = "application/x-rpm"
)

// packagesByName says, of the types that are packages, what contents each has. Of those
// that are ZIP archives, packed tells which by what is in them.
var packagesByName = map[string]string{
	apk: zipArchive, ipa: zipArchive, msix: zipArchive, appx: zipArchive, msixBundle: zipArchive, appxBundle: zipArchive,
	exe: exe, msi: oleStorage, dmg: "", xar: xar, appImage: appImage, deb: deb, rpm: rpm,
}

const (
	zipArchive = "application/zip"
	oleStorage = "application/x-ole-storage"
)

// isPackage says whether a content, as its first bytes have it, under a name that says
// said, can be an application package.
func isPackage(content, said string) bool {
	of, known := packagesByName[said]
	return known && content == of
}

// packed says whether what calls itself a package of type mime, and begins like one, is
// one further on, by a look at its end: nothing of it is unpacked.
func packed(r io.ReaderAt, size int64, mime string) bool {
	switch mime {
	case apk:
		return listed(r, size, func(name string) bool { return name == "AndroidManifest.xml" })
	case ipa:
		return listed(r, size, func(name string) bool {
			rest, ok := strings.CutPrefix(name, "Payload/")
			dir, file, _ := strings.Cut(rest, "/")
			return ok && strings.HasSuffix(dir, ".app") && file == "Info.plist"
		})
	case msix, appx:
		return listed(r, size, func(name string) bool { return name == "AppxManifest.xml" })
	case msixBundle, appxBundle:
		return listed(r, size, func(name string) bool { return name == "AppxMetadata/AppxBundleManifest.xml" })
	case dmg: // its last 512 bytes say what it is
		var end [4]byte
		_, err := r.ReadAt(end[:], max(0, size-512))
		return err == nil && string(end[:]) == "koly"
	}
	return true
}

// Bounds of what is read of a ZIP archive: the end of its directory with the longest
// comment, and the directory, whose entries have some 80 bytes each in packages.
const (
	zipEnd       = 22
	zipComment   = 64 << 10
	zipDirectory = 16 << 20
)

// listed says whether the directory of a ZIP archive (APPNOTE 4.3.12, 4.3.16) has a file
// that is. It is read as a stream, and of an archive over 4 GiB not at all.
func listed(r io.ReaderAt, size int64, is func(name string) bool) bool {
	tail := make([]byte, min(size, zipEnd+zipComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return false
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < zipEnd {
		return false
	}
	length, from := int64(binary.LittleEndian.Uint32(tail[at+12:])), int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if from+length > size || length > zipDirectory {
		return false
	}
	// 64 KiB hold the longest name; what follows an entry's name is passed over.
	const head = 46
	window := make([]byte, 64<<10+head)
	for end := from + length; from+head <= end; {
		n, err := r.ReadAt(window[:min(int64(len(window)), end-from)], from)
		if err != nil && err != io.EOF || n < head {
			return false
		}
		for b := window[:n]; len(b) >= head; {
			if string(b[:4]) != "PK\x01\x02" {
				return false
			}
			name, extra, comment := int(binary.LittleEndian.Uint16(b[28:])), int(binary.LittleEndian.Uint16(b[30:])), int(binary.LittleEndian.Uint16(b[32:]))
			if head+name > len(b) {
				if len(b) == n { // a whole window, and not even the name is there
					return false
				}
				break // the next window begins with this entry
			}
			if is(string(b[head : head+name])) {
				return true
			}
			whole := head + name + extra + comment
			from += int64(whole)
			b = b[min(whole, len(b)):]
		}
	}
	return false
}
