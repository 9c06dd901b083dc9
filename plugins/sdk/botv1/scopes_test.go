package botv1_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// What a bot may call for without a scope is said here, so that a new call is not free by
// an oversight.
func TestEveryCallNeedsAScopeOrIsKnownToNeedNone(t *testing.T) {
	free := []string{"secret"}
	calls := (&botv1.Call{}).ProtoReflect().Descriptor().Oneofs().ByName("do").Fields()
	for i := range calls.Len() {
		field := calls.Get(i)
		c := &botv1.Call{}
		c.ProtoReflect().Set(field, protoreflect.ValueOf(c.ProtoReflect().NewField(field).Message()))
		scope := botv1.ScopeOf(c)
		if scope == "" != slices.Contains(free, string(field.Name())) {
			t.Errorf("%s needs the scope %q", field.Name(), scope)
		}
		if scope != "" && !slices.Contains(botv1.Scopes, scope) {
			t.Errorf("%s needs %q, which is no scope", field.Name(), scope)
		}
	}
}

func TestAHostIsAPartOfTheNetwork(t *testing.T) {
	for granted, ok := range map[string]bool{"network": true, "network:example.org": true, "networks": false, "": false} {
		if botv1.Grants([]string{"kv", granted}, "network") != ok {
			t.Errorf("%q grants the network: %v", granted, !ok)
		}
	}
}
