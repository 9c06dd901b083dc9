package bottest

import (
	"strings"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// scopeOf is what a call needs, as the real host has it; "": nothing.
func scopeOf(c *botv1.Call) string {
	switch c.Do.(type) {
	case *botv1.Call_History:
		return "history"
	case *botv1.Call_Members:
		return "members"
	case *botv1.Call_KvGet, *botv1.Call_KvSet, *botv1.Call_KvList:
		return "kv"
	case *botv1.Call_Schedule, *botv1.Call_Unschedule:
		return "schedule"
	case *botv1.Call_FileGet, *botv1.Call_FilePut:
		return "files"
	case *botv1.Call_Handoff:
		return "handoff"
	case *botv1.Call_Tools, *botv1.Call_ToolCall:
		return "tools"
	case *botv1.Call_Silence:
		return "moderate"
	case *botv1.Call_Usage:
		return "model"
	case *botv1.Call_HookMake, *botv1.Call_HookList, *botv1.Call_HookDrop:
		return "hooks"
	case *botv1.Call_Fetch:
		return "network"
	}
	return ""
}

// granted says whether the bot has a scope, or a part of it: network:example.org.
func (w *world) granted(scope string) bool {
	for _, s := range w.scopes {
		if s == scope || strings.HasPrefix(s, scope+":") {
			return true
		}
	}
	return false
}
