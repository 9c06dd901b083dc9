package protocol

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

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
	Device   string        // the client's own name for the device, or one we gave it
	Login    string        // the login (refresh token family) that the token belongs to; "" for an outside token
	Platform string        // web, ios, android, …; "" when not said
	Version  string        // the client's version; "" when not said
	Expires  time.Time     // of the token, as it says
	Leeway   time.Duration // how long it is taken after that, as clocks differ
	Admin    bool          // may administer this installation
	Kind     string        // of the user: "" is human; else bot, guest, device, system
	App      string        // the application by which a guest or an embedding host's user came, "": none
	Scopes   []string      // of a server key or a bot: what it may do besides being a member; nil for people
}

// IDs made here are a prefix and 80 bits in 16 characters of base32, lower case.
const (
	userPrefix    = "u_"
	sessionPrefix = "s_"
	p2pPrefix     = "p_"
	botPrefix     = "b_"
	idBytes       = 10
	idChars       = 16
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func randomID(prefix string) string {
	var raw [idBytes]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	return prefix + base32Lower.EncodeToString(raw[:])
}

// NewSessionID makes the id of a new session: s_ and 80 random bits.
func NewSessionID() SessionID { return randomID(sessionPrefix) }

// NewUserID makes the id of a user who registers here: u_ and 80 random bits.
func NewUserID() UserID { return randomID(userPrefix) }

// BotUserID is the id of the user that a plugin is under a handle: b_ and the plugin's
// id, and behind a dot the handle, when it has one of its own.
func BotUserID(plugin, handle string) UserID {
	if handle == "" || handle == plugin {
		return botPrefix + plugin
	}
	return botPrefix + plugin + "." + handle
}

// IsBot says whether a user id is one that BotUserID makes. Nobody else gets such an id.
func IsBot(id UserID) bool { return strings.HasPrefix(id, botPrefix) }

// P2PSessionID is the id of the session of two people: p_ and 80 bits of the
// SHA-256 over both ids in byte order, so that the same two always get the same.
func P2PSessionID(a, b UserID) SessionID {
	if b < a {
		a, b = b, a
	}
	// A user id holds no control characters: the zero byte keeps "a"+"bc" and "ab"+"c" apart.
	sum := sha256.Sum256([]byte(a + "\x00" + b))
	return p2pPrefix + base32Lower.EncodeToString(sum[:idBytes])
}

// NamedSessionID is the id of the session that creator makes by a request with this
// client message id, so that the request made again finds the same session.
func NamedSessionID(creator UserID, id ClientMsgID) SessionID {
	sum := sha256.Sum256([]byte("session\x00" + creator + "\x00" + id))
	return sessionPrefix + base32Lower.EncodeToString(sum[:idBytes])
}

// SystemSessionID is the id of the session in which the installation speaks to a user.
func SystemSessionID(user UserID) SessionID {
	sum := sha256.Sum256([]byte("system\x00" + user))
	return sessionPrefix + base32Lower.EncodeToString(sum[:idBytes])
}

// IsP2P says whether a session id is one that P2PSessionID makes.
func IsP2P(id SessionID) bool { return strings.HasPrefix(id, p2pPrefix) }

// ParseSessionID checks an id that a client gave: s_ or p_ and 16 characters of
// base32, lower case. The words of REST paths (recent, topics, …) are none. The
// error is a BAD_REQUEST.
func ParseSessionID(s string) (SessionID, error) {
	if !isSessionID(s) {
		return "", BadRequest("not a session id")
	}
	return s, nil
}

func isSessionID(s string) bool {
	if len(s) != 2+idChars || s[:2] != sessionPrefix && s[:2] != p2pPrefix {
		return false
	}
	for _, c := range []byte(s[2:]) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// ParseUserID checks a user id, ours or an outside system's: 1 to 128 bytes of
// UTF-8 without control characters and without "/". The error is a BAD_REQUEST.
func ParseUserID(s string) (UserID, error) {
	switch {
	case s == "":
		return "", BadRequest("a user id may not be empty")
	case len(s) > 128:
		return "", BadRequest("a user id has at most 128 bytes")
	case !utf8.ValidString(s), strings.ContainsRune(s, '/'), strings.ContainsFunc(s, unicode.IsControl):
		return "", BadRequest("a user id has no control characters and no /")
	}
	return s, nil
}

// ParseClientMsgID checks a client message id: 1 to 128 bytes of UTF-8 without
// control characters. The error is a BAD_REQUEST.
func ParseClientMsgID(s string) (ClientMsgID, error) {
	if s == "" || len(s) > 128 || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", BadRequest("clientMsgId: 1 to 128 bytes without control characters are needed")
	}
	return s, nil
}

// MessageID is a message's name, messagerecvId: its session, a dot, its seq.
func MessageID(session SessionID, seq int64) string {
	b := make([]byte, 0, 40)
	b = append(append(b, session...), '.')
	return string(strconv.AppendInt(b, seq, 10))
}

// ParseMessageID takes a messagerecvId, or a messagesendId, apart. The error is a BAD_REQUEST.
func ParseMessageID(id string) (session SessionID, seq int64, err error) {
	bad := BadRequest("not a message id")
	id, _, _ = strings.Cut(id, "@") // of a messagesendId; a session id has none
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return "", 0, bad
	}
	if !isSessionID(id[:dot]) {
		return "", 0, bad
	}
	seq, nerr := strconv.ParseInt(id[dot+1:], 10, 64)
	// Only what MessageID writes: no sign, no leading zero.
	if nerr != nil || seq < 1 || seq > maxInteger || id[dot+1] == '0' || id[dot+1] == '+' {
		return "", 0, bad
	}
	return id[:dot], seq, nil
}

// DeliveryID is a delivery's name, messagesendId: the message's, an @, the receiver.
func DeliveryID(messagerecvID string, to UserID) string { return messagerecvID + "@" + to }

// maxInteger is the greatest integer on the wire: what a JavaScript number holds exactly.
const maxInteger = 1 << 53

// SendHash is a hash of what a msg_send asks for (content, expire, replyTo,
// mentions), to tell a retry from another message under the same client message
// id: 8 bytes of the SHA-256 over its fields as JSON. An empty list of mentions
// is none. Data that differs in white space is other data.
func SendHash(m *MsgSend) (hash [8]byte) {
	room := hashRoom.Get().(*[]byte)
	*room = appendSendJSON((*room)[:0], m)
	sum := sha256.Sum256(*room)
	hashRoom.Put(room)
	copy(hash[:], sum[:])
	return hash
}

// hashRoom spares a kilobyte a message: an array of this size would be on the heap.
var hashRoom = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// appendSendJSON is AppendJSON of a frame with those fields, of which nothing has to be on the heap.
func appendSendJSON(b []byte, m *MsgSend) []byte {
	asked := MsgSend{Content: m.Content, Expire: m.Expire, ReplyTo: m.ReplyTo, Mentions: m.Mentions}
	return append(asked.appendFields(append(b, `{"type":"msg_send"`...)), '}')
}
