package botv1

import "strings"

// Scopes are what a bot may be granted. Behind network: may stand a host, which is then
// all that it reaches.
var Scopes = []string{
	"write", "read.all", "bots.read", "history", "members", "kv", "schedule", "files", "hooks", "handoff", "tools", "moderate", "invite", "model", "network",
}

// ScopeOf is the scope without which a call is DENIED; "": it needs none. What it needs
// besides hangs on what it is about: a message of another's, a group's consent.
func ScopeOf(c *Call) string {
	switch c.GetDo().(type) {
	case *Call_Post, *Call_Delta, *Call_End, *Call_Typing, *Call_Whisper, *Call_Edit, *Call_Recall, *Call_React:
		return "write"
	case *Call_History:
		return "history"
	case *Call_Members:
		return "members"
	case *Call_KvGet, *Call_KvSet, *Call_KvList:
		return "kv"
	case *Call_Schedule, *Call_Unschedule:
		return "schedule"
	case *Call_FileGet, *Call_FilePut:
		return "files"
	case *Call_Handoff:
		return "handoff"
	case *Call_Tools, *Call_ToolCall:
		return "tools"
	case *Call_Silence:
		return "moderate"
	case *Call_Usage:
		return "model"
	case *Call_HookMake, *Call_HookList, *Call_HookDrop:
		return "hooks"
	case *Call_Fetch:
		return "network"
	}
	return "" // Secret: of one's own
}

// Grants says whether what was granted has a scope, or a part of it: network:example.org
// is one of network.
func Grants(granted []string, scope string) bool {
	for _, s := range granted {
		if s == scope || strings.HasPrefix(s, scope+":") {
			return true
		}
	}
	return false
}
