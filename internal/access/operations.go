package access

// operations says what each REST operation does, by its id. Those that are a frame
// name the frame's actions, and are asked again where the frame is.
var operations = map[string][]Action{
	"register": {SignIn},
	"login":    {SignIn},
	"refresh":  {SignIn},
	"logout":   {Stay},

	"get-me":         {Self},
	"set-me":         {Self},
	"set-password":   {Password},
	"list-devices":   {Devices},
	"remove-device":  {Devices},
	"remove-devices": {Devices},

	"list-friends":   {Contacts},
	"set-friend":     {Contacts},
	"unfriend":       {Contacts},
	"list-blocks":    {Contacts},
	"block":          {Contacts},
	"unblock":        {Contacts},
	"list-requests":  {Requests},
	"send-request":   {Requests},
	"answer-request": {Requests},

	"get-user":         {Profiles},
	"find-users":       {Search},
	"get-user-status":  {Presence},
	"set-user-status":  {Presence},
	"get-consult-time": {Presence},

	"make-invite":  {Invites},
	"disable-user": {AdminUsers},

	"admin-find-users":     {AdminUsers},
	"admin-get-user":       {AdminUsers},
	"admin-reset-password": {AdminUsers},
	"admin-set-admin":      {AdminUsers},
	"read-audit":           {Audit},
	"verify-audit":         {Audit},

	"upload-file":       {Upload},
	"get-file":          {Read},
	"head-file":         {Read},
	"get-thumb":         {Read},
	"head-thumb":        {Read},
	"get-file-info":     {Read},
	"link-file":         {Read},
	"get-file-by-link":  {Follow},
	"head-file-by-link": {Follow},

	"send-notice": {Notices},
	"get-notice":  {Notices},

	"badge-no":          {Home},
	"create-session":    {Create},
	"recent-sessions":   {Home},
	"unread-total":      {Home},
	"get-session":       {Read},
	"change-session":    {Rename, Announce, SetPolicy, Silence, SetRoles},
	"session-status":    {Read},
	"pin-session":       {Arrange},
	"unpin-session":     {Arrange},
	"mute-session":      {Arrange},
	"unmute-session":    {Arrange},
	"unread-of-session": {Read},
	"mark-read":         {Mark},
	"mark-received":     {Mark},
	"exit-session":      {Leave},
	"dissolve-session":  {Dissolve},
	"join-session":      {Join},
	"join-by-code":      {Join},
	"get-link":          {Join},
	"list-links":        {Links},
	"create-link":       {Links},
	"revoke-link":       {Links},

	"list-messages":  {Read},
	"send-message":   {Send},
	"list-unread":    {Read},
	"get-message":    {Read},
	"edit-message":   {EditOwn},
	"recall-message": {RecallOwn, RecallOthers},
	"react":          {React},
	"unreact":        {React},

	"replace-members":         {AddMembers, RemoveOthers, Leave},
	"replace-members-by-post": {AddMembers, RemoveOthers, Leave},
	"list-members":            {Read},
	"add-members":             {AddMembers},
	"remove-members":          {RemoveOthers, Leave},
	"list-avatars":            {Read},
	"get-member":              {Read},
	"put-member":              {AddMembers, SetRoles, Silence},
	"remove-member":           {RemoveOthers, Leave},
	"get-avatar":              {Read},
}

// routes are the paths that are no operation, as the router has them. Everybody may
// call them: pages, descriptions, probes. /ws asks for an auth frame itself.
var routes = []string{
	"/ws", "/healthz", "/readyz", "/metrics",
	"/docs", "/docs/docs.css", "/docs/docs.js",
	"/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml",
	"/", "/plain/*",
}
