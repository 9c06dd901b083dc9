package protocol

import "time"

// UserID, SessionID and ClientMsgID are opaque to clients. They are aliases, as
// the generated frames hold them as strings: the names say what is meant.
type (
	UserID      = string
	SessionID   = string
	ClientMsgID = string
)

// Identity is who speaks on a connection or in a REST request, after its token was checked.
type Identity struct {
	User     UserID
	Device   string    // the client's own name for the device, or one we gave it
	Login    string    // the login (refresh token family) that the token belongs to; "" for an outside token
	Platform string    // web, ios, android, …; "" when not said
	Version  string    // the client's version; "" when not said
	Expires  time.Time // of the token
	Admin    bool      // may administer this installation
}
