package access

// Action is one thing that somebody may want to do.
type Action uint8

const (
	None Action = iota // no action: denied to everybody

	// Without a session.
	SignIn
	Stay
	Self
	Password
	Devices
	Merge
	Profiles
	Search
	Presence
	Contacts
	Requests
	Create
	Home
	Find
	Upload
	Follow
	Preview
	Releases

	// In a session.
	Read
	Send
	EditOwn
	RecallOwn
	RecallOthers
	React
	StopDraft
	Judge
	Mark
	Type
	Arrange
	AddMembers
	RemoveOthers
	Leave
	Rename
	Announce
	SetPolicy
	Silence
	SetRoles
	Links
	Join
	Dissolve

	// For other back ends.
	MintUsers
	MintSessions
	MintMessages

	// Of the installation.
	Notices
	Invites
	AdminUsers
	AdminSessions
	AdminKeys
	AdminApps
	AdminReleases
	AdminBots
	ReviewFiles
	Export
	Erase
	Audit

	actions
)

// cell is what one subject may do.
type cell struct {
	verdict Verdict
	scope   string
}

// row is one action.
type row struct {
	word    string // behind "may not": what is done
	session bool   // it is done in a session
	cells   [subjects]cell
}

// The cells of the table.
var (
	deny, hide, sign = cell{verdict: Deny}, cell{verdict: Hide}, cell{verdict: Sign}
	yes, policy      = cell{verdict: Allow}, cell{verdict: Policy}
	send, moderate   = cell{Scoped, ScopeSend}, cell{Scoped, ScopeModerate}
	invite, users    = cell{Scoped, ScopeInvite}, cell{Scoped, ScopeUsers}
	sessions         = cell{Scoped, ScopeSessions}
	messages         = cell{Scoped, ScopeMessages}
	reads, notice    = cell{Scoped, ScopeRead}, cell{Scoped, ScopeNotice}
)

// person is a row of an action without a session: how somebody stands in one is nothing to it.
func person(word string, nobody, guest, person, bot, key, administrator cell) row {
	return row{word, false, [subjects]cell{nobody, guest, person, person, person, person, person, bot, key, administrator}}
}

// member is a row of an action in a session: strangers, those who left it and the
// installation's administrators are not to know of it, as long as they are not in it.
func member(word string, guest, member, moderator, owner, bot, key cell) row {
	return row{word, true, [subjects]cell{sign, guest, hide, hide, member, moderator, owner, bot, key, hide}}
}

// admin is a row for the installation's administrators, and perhaps server keys.
func admin(word string, key cell) row { return person(word, sign, deny, deny, deny, key, yes) }

// table is the one place that says who may do what.
var table = [actions]row{
	//                                                          nobody guest  person  bot       key       administrator
	SignIn:   person("sign in", yes, yes, yes, yes, yes, yes),
	Stay:     person("keep or end a connection", sign, yes, yes, yes, yes, yes),
	Self:     person("read and change one's own profile", sign, yes, yes, yes, deny, yes),
	Password: person("change one's password", sign, deny, yes, deny, deny, yes),
	Devices:  person("list and sign out one's devices", sign, deny, yes, deny, deny, yes),
	Merge:    person("take a guest's place", sign, deny, yes, deny, deny, yes),
	Profiles: person("read others' profiles", sign, policy, yes, yes, users, yes),
	Search:   person("search for people", sign, deny, yes, deny, users, yes),
	Presence: person("see who is online, and say so of oneself", sign, policy, yes, yes, deny, yes),
	Contacts: person("keep contacts", sign, deny, yes, deny, deny, yes),
	Requests: person("send and answer requests", sign, deny, yes, deny, deny, yes),
	Create:   person("make a session", sign, policy, yes, deny, sessions, yes),
	Upload:   person("upload files", sign, yes, yes, send, messages, yes),
	Follow:   person("follow a signed link", yes, yes, yes, yes, yes, yes),
	Preview:  person("read previews of links", sign, yes, yes, yes, deny, yes),
	Releases: person("read what is released", yes, yes, yes, yes, yes, yes),
	Home:     person("list one's sessions", sign, yes, yes, yes, reads, yes),
	Find:     person("search the messages of one's sessions", sign, yes, yes, yes, reads, yes),

	//                                                          guest   member  moderator owner bot       key
	Read:         member("read a session", yes, yes, yes, yes, yes, reads),
	Send:         member("write in a session", policy, policy, yes, yes, send, messages),
	EditOwn:      member("edit one's own message", yes, yes, yes, yes, send, messages),
	RecallOwn:    member("recall one's own message", yes, yes, yes, yes, send, messages),
	RecallOthers: member("recall another's message", deny, deny, yes, yes, moderate, messages),
	React:        member("react to a message, or answer a call", yes, yes, yes, yes, send, deny),
	StopDraft:    member("stop what a bot is writing", policy, policy, yes, yes, moderate, deny),
	Judge:        member("decide on what moderation holds back", deny, deny, yes, yes, moderate, deny),
	Mark:         member("move one's marks", yes, yes, yes, yes, yes, deny),
	Type:         member("show that one is typing", yes, yes, yes, yes, send, deny),
	Arrange:      member("pin or mute a session for oneself", yes, yes, yes, yes, yes, deny),
	AddMembers:   member("add members", deny, policy, yes, yes, invite, sessions),
	RemoveOthers: member("remove another member", deny, policy, policy, yes, moderate, sessions),
	Leave:        member("leave a session", yes, yes, yes, yes, yes, deny),
	Rename:       member("change a session's name and picture", deny, deny, yes, yes, moderate, sessions),
	Announce:     member("change a session's announcement", deny, deny, yes, yes, moderate, sessions),
	SetPolicy:    member("say who may come into a session, and until when", deny, deny, yes, yes, deny, sessions),
	Silence:      member("silence members", deny, deny, yes, yes, moderate, sessions),
	SetRoles:     member("change roles or hand a session over", deny, deny, deny, yes, deny, sessions),
	Links:        member("make and revoke links", deny, policy, yes, yes, invite, sessions),
	Join: {"join a session", true, [subjects]cell{
		sign, deny, policy, policy, yes, yes, yes, deny, deny, policy}},
	Dissolve: member("dissolve a session", deny, deny, deny, yes, deny, sessions),

	MintUsers:    admin("make users and tokens for them", users),
	MintSessions: admin("make and change sessions of others", sessions),
	MintMessages: admin("write for others", messages),

	Notices:       admin("send notices", notice),
	Invites:       admin("make invitations", deny),
	AdminUsers:    admin("administer users", deny),
	AdminSessions: admin("administer sessions", deny),
	AdminKeys:     admin("administer keys and issuers", deny),
	AdminApps:     admin("administer applications", deny),
	AdminReleases: admin("make and withdraw releases", deny),
	AdminBots:     admin("administer bots", deny),
	ReviewFiles:   admin("decide whether others see files", moderate),
	Export:        admin("export a user's data", deny),
	Erase:         admin("erase a user", deny),
	Audit:         admin("read the audit log", deny),
}

// String is the action in words, to stand behind "may not".
func (a Action) String() string {
	if int(a) < len(table) && table[a].word != "" {
		return table[a].word
	}
	return "do what is in no table"
}

var subjectWords = [subjects]string{"nobody", "a guest", "a stranger", "a former member", "a member", "a session's admin", "the owner", "a bot", "a server key", "an administrator"}

func (s Subject) String() string {
	if s < subjects {
		return subjectWords[s]
	}
	return "nobody"
}
