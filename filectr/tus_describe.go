package filectr

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// describeTus says which headers tus has for an operation: tusd reads and writes them
// itself, so huma doesn't know of them.
func describeTus(op *huma.Operation) {
	header := func(name, means string, required bool) *huma.Param {
		return &huma.Param{Name: name, In: "header", Description: means, Required: required, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	answer := &huma.Response{Description: http.StatusText(op.DefaultStatus), Headers: map[string]*huma.Param{}}
	says := func(name, means string) {
		answer.Headers[name] = &huma.Param{Description: means, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	const (
		offset = "Bytes that are kept"
		ends   = "When it is given up if nothing more comes"
	)
	says("Tus-Resumable", "1.0.0")
	if op.Method != http.MethodOptions {
		op.Parameters = append(op.Parameters, header("Tus-Resumable", "1.0.0", true))
	}
	switch op.Method {
	case http.MethodOptions:
		says("Tus-Version", "1.0.0")
		says("Tus-Extension", "creation and others, with commas between")
		says("Tus-Max-Size", "Bytes of the largest kind of file")
		says("Tus-Checksum-Algorithm", "sha256,sha1")
	case http.MethodPost:
		op.Parameters = append(op.Parameters,
			header("Upload-Length", "Bytes of the whole file", true),
			header("Upload-Metadata", "Pairs of KEY BASE64 with commas between: filename, and sha256 of the whole file, in hex", false),
			header("Content-Type", "application/offset+octet-stream, where the first part is the body", false))
		says("Location", "The upload's path; its last segment is the file's id")
		says("Upload-Offset", offset)
		says("Upload-Expires", ends)
	case http.MethodHead:
		says("Upload-Offset", offset+": the next part begins here")
		says("Upload-Length", "Bytes of the whole file")
		says("Upload-Metadata", "As it was said")
		says("Upload-Expires", ends)
	case http.MethodPatch:
		op.Parameters = append(op.Parameters,
			header("Upload-Offset", "Where the part begins: as many bytes as are kept", true),
			header("Content-Type", "application/offset+octet-stream", true),
			header("Upload-Checksum", "sha256 or sha1, a space, and BASE64 of the part", false))
		says("Upload-Offset", offset)
		says("Upload-Expires", ends)
	}
	if op.Path != tusPath+"/" {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "id", In: "path", Required: true, Description: "The last segment of what Location said", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	op.Responses = map[string]*huma.Response{strconv.Itoa(op.DefaultStatus): answer}
}
