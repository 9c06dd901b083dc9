package access

// frames says what each frame that a client sends does. Where there are several
// actions, what the frame says, or what it is about, picks.
var frames = map[string][]Action{
	"auth":      {SignIn},
	"heartbeat": {Stay},
	"logout":    {Stay},

	"user_get":       {Profiles},
	"presence_watch": {Presence},
	"presence_set":   {Presence},
	"contact_list":   {Contacts},
	"contact_set":    {Contacts},
	"contact_remove": {Contacts},
	"request_send":   {Requests},
	"request_answer": {Requests},
	"request_list":   {Requests},

	"session_create":      {Create},
	"session_list":        {Home},
	"session_get":         {Read},
	"session_add_user":    {AddMembers},
	"session_remove_user": {RemoveOthers, Leave},
	"session_exit":        {Leave},
	"session_set":         {Arrange, Rename, Announce, SetPolicy, Silence, SetRoles},
	"session_join":        {Join},
	"session_dissolve":    {Dissolve},
	"link_create":         {Links},
	"link_list":           {Links},
	"link_revoke":         {Links},
	"link_get":            {Join},

	"msg_send":    {Send},
	"msg_recv":    {Mark},
	"msg_read":    {Mark},
	"msg_editing": {Type},
	"msg_cancel":  {RecallOwn, RecallOthers, StopDraft},
	"msg_edit":    {EditOwn},
	"msg_react":   {React},
	"msg_accept":  {React},
	"msg_refuse":  {React},
	"sync":        {Read},
}
