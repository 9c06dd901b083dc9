package botv1

// How a bot's process is started. It finds these in its environment, listens on a unix
// socket in PLUGIN_UNIX_SOCKET_DIR, and prints one line on its standard output:
// 1|1|unix|PATH|grpc|. It serves the service Bot there, grpc.health.v1 and
// plugin.GRPCController, as hashicorp/go-plugin does. After that line only its
// standard error is for logs.
const (
	// Protocol is this protocol's number, in Describe and in the handshake's line.
	Protocol = 1
	// CookieKey and CookieValue say in the environment that a host started the process,
	// and not a person.
	CookieKey, CookieValue = "TROUPE_PLUGIN", "bot-5d1f3c"
	// PluginName is what go-plugin's set of plugins calls a bot.
	PluginName = "bot"
	// LifelineKey names a file descriptor, in decimal: a pipe of which nobody writes. When it
	// ends the host is gone, however it went, and the process ends itself.
	LifelineKey = "TROUPE_LIFELINE"
	// MaxMessage is in bytes, of a frame in either direction: a file of 16 MiB and what
	// is around it.
	MaxMessage = 20 << 20
)
